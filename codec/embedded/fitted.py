"""The profile `embedded` for one budget: a single layer, in the step that suits the picture best.

A stream that serves every budget pays for it on a link: each of its layers needs packets of its
own, and where the budget cuts it the planes fall as they fall. Where one budget is known and all
bytes are protected alike, a sender may do what senders of conventional files do: make the file for
the budget, trying how coarse it has to be. The stream is still one that any prefix of decodes, so
what comes after a lost packet is lost and no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codec.base import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    Layer,
    ReceivedLayer,
    check_image,
)
from codec.embedded.codec import EmbeddedCodec, alike_of, is_grey
from codec.embedded.coding import Alike, encode_alike, in_batches
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import LAYER_NAMES
from codec.embedded.slices import UNSLICED_SIDE, Box
from codec.embedded.steps import STEPS, UNIT_STEP
from codec.embedded.versions import STEPPED_VERSION
from codec.picture_header import PictureHeader

TRIES = (1, 2, 4, 8)
"""How many steps may be tried."""


def check_tries(tries: int) -> None:
    """Raises CodecError unless it is one of TRIES."""
    if tries not in TRIES:
        raise CodecError(f"expected 1, 2, 4 or 8 steps to try, found {tries}")


def check_fittable(image: Image) -> None:
    """Raises CodecError for pictures that would need slices, and for arrays that are no Image."""
    check_image(image)
    height, width = image.shape[:2]
    if max(height, width) > UNSLICED_SIDE:
        raise CodecError(
            f"expected a picture of at most {UNSLICED_SIDE} pixels a side to be fitted to a "
            f"budget, found {height} x {width}"
        )


class FittedCodec:
    """The codec behind the protocol `ImageCodec`, coding anew for each budget.

    tries: how many steps, one of TRIES; the time to encode grows with it. Streams are irreversible.
    Decodes what EmbeddedCodec codes, too. Raises CodecError for other `tries`.
    """

    name = "semantic"
    scalable = False
    layer_names: tuple[str, ...] = ("stream",)
    layers = 1
    bitstream_version = STEPPED_VERSION
    reversible = False

    def __init__(self, profile: EmbeddedProfile, tries: int = STEPS) -> None:
        check_tries(tries)
        self.profile, self.tries = profile, tries
        self._codec = EmbeddedCodec(profile)

    @property
    def steps(self) -> tuple[int, ...]:
        """Those that are tried, an octave's eighths as evenly as they go, UNIT_STEP among them."""
        apart = STEPS // self.tries
        return tuple(range(UNIT_STEP % apart, STEPS, apart))

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See ImageCodec. Without a budget: all there is, in UNIT_STEP.

        None where the budget ends before anything is told of the picture. Raises CodecError as
        check_fittable does.
        """
        streams: list[bytes | None] = [None] * len(images)
        groups: dict[Alike, list[int]] = defaultdict(list)
        heads: dict[Alike, bytes] = {}
        for b, image in enumerate(images):
            check_fittable(image)
            height, width = image.shape[:2]
            header = PictureHeader(height, width, 0, is_grey(image), 0, False, STEPPED_VERSION)
            alike = alike_of(Box(0, 0, height, width), header, self.profile)
            heads[alike] = header.pack()
            groups[alike].append(b)
        for alike, some in in_batches(groups):
            pictures = np.stack([images[b] for b in some])
            found = self._fitted(pictures, alike, heads[alike], budget_bytes)
            for b, stream in zip(some, found, strict=True):
                streams[b] = stream
        return [
            None if stream is None else EncodedImage((Layer(self.layer_names[0], stream),))
            for stream in streams
        ]

    def _fitted(
        self, pictures: NDArray[np.uint8], alike: Alike, head: bytes, budget_bytes: int | None
    ) -> list[bytes | None]:
        """Each picture's stream, its header included; they are alike and have the same."""
        count = len(pictures)
        if budget_bytes is None:
            return [*self._streams(pictures, alike, head, np.full(count, UNIT_STEP), None)]
        tries = len(self.steps)
        steps = np.repeat(np.array(self.steps, np.int64), count)
        streams = self._streams(
            np.concatenate([pictures] * tries), alike, head, steps, budget_bytes
        )
        shown = self.decode_batch([[ReceivedLayer(stream, True)] for stream in streams])
        errors = np.full((tries, count), np.inf)
        for k, result in enumerate(shown):
            if result.image is not None:
                of_picture = pictures[k % count].astype(np.int64) - result.image
                errors[divmod(k, count)] = np.sum(of_picture**2)
        best = errors.argmin(axis=0)
        return [
            None if np.isinf(errors[best[b], b]) else streams[best[b] * count + b]
            for b in range(count)
        ]

    def _streams(
        self,
        pictures: NDArray[np.uint8],
        alike: Alike,
        head: bytes,
        steps: NDArray[np.int64],
        most_bytes: int | None,
    ) -> list[bytes]:
        """Each picture's stream in its step, of at most so many bytes."""
        found: list[list[bytes]] = []
        for start in range(0, len(pictures), alike.at_once):
            some = slice(start, start + alike.at_once)
            found += encode_alike(
                self.profile, pictures[some], alike, len(LAYER_NAMES), steps[some], most_bytes
            )
        return [(head + b"".join(pieces))[:most_bytes] for pieces in found]

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See ImageCodec."""
        return self._codec.decode_batch(received)
