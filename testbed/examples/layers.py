"""What each layer brings, without a channel: bytes and quality after every whole layer.

A codec that is not layered codes for a budget of bytes: it has a row for budgets that the run's
links gave it. Streams come from where trials have theirs, so that hardly any is coded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from codec.base import DecodedImage, EncodedImage, ImageCodec, ReceivedLayer
from testbed.evaluation.metrics import psnr_db, ssim
from testbed.examples.choice import MOST_PIXELS, shown_variant
from testbed.images import SourceImage
from testbed.registry import make_codec
from testbed.running.plan import Plan
from testbed.running.runner import work_of
from testbed.running.trials import LinkPoint, Point, budget_channel_uses
from testbed.running.work import Row
from testbed.sending.packets import capacity_bytes
from testbed.sending.simulation import DECODE_PIXELS, encoded_streams
from testbed.sending.transmission import layer_links
from testbed.spreading import spread

PIXELS_OF_A_SIZE = 200_000
"""That pictures of one size have together, at most, unless a single one has more."""
MOST_PICTURES = 8
MOST_SIZES = 4
MOST_BUDGETS = 8


def picture_sets(plan: Plan) -> dict[tuple[int, int], list[int]]:
    """Few pictures of each size, by height and width; a picture on its side has the same size."""
    sets: dict[tuple[int, int], list[int]] = {}
    for index in shown_variant(plan).images:
        height, width = plan.images[index].pixels.shape[:2]
        if height * width > MOST_PIXELS:
            continue
        size = max(height, width), min(height, width)
        if size not in sets and len(sets) == MOST_SIZES:
            continue
        own = sets.setdefault(size, [])
        if len(own) < min(MOST_PICTURES, max(1, PIXELS_OF_A_SIZE // (height * width))):
            own.append(index)
    return sets


def layer_rows(plan: Plan, known: Container[str], codec_index: int) -> Iterator[Row]:
    """Rows of LAYER_COLUMNS of a codec, none of an analog one.

    known: ids of the trials that have a row. A picture that has none, and for budgets one that has
    none of this budget, is not coded.
    """
    section = shown_variant(plan).scenario.codecs[codec_index]
    if section.analog:
        return
    codec = make_codec(section)
    for (longer, shorter), images in picture_sets(plan).items():
        for index in images:
            source = _Source(plan, known, codec_index, index)
            for budget, encoded in source.streams(codec):
                for count, decoded in _decoded(codec, encoded, source.image):
                    yield _row(section.name, f"{longer}x{shorter}", source.image, budget) | _gain(
                        encoded, count, decoded, source.image
                    )


@dataclass(frozen=True)
class _Source:
    """A picture and a codec, and the trials of both that have a row."""

    plan: Plan
    known: Container[str]
    codec_index: int
    index: int

    @property
    def image(self) -> SourceImage:
        return self.plan.images[self.index]

    @cached_property
    def _points(self) -> list[Point]:
        points = shown_variant(self.plan).points
        return [point for point in points if point.codec_index == self.codec_index]

    def _is_known(self, point: Point) -> bool:
        return self.plan.trial(point, self.index, 0).trial_id in self.known

    def streams(self, codec: ImageCodec) -> Iterator[tuple[int | None, EncodedImage]]:
        """With the budget of each in bytes, None of a layered codec. What fits none is left out."""
        budgets: Sequence[int | None] = spread(self._budgets(), MOST_BUDGETS)
        if codec.scalable:
            budgets = [None]
        point = next(filter(self._is_known, self._points), None)
        if point is None or not budgets:
            return
        variant = shown_variant(self.plan)
        work = work_of(self.plan, variant, [self.plan.trial(point, self.index, 0)])
        wanted = [(self.index, budget) for budget in budgets]
        for budget, encoded in zip(budgets, encoded_streams(codec, work, wanted), strict=True):
            if encoded is not None:
                yield budget, encoded

    def _budgets(self) -> list[int]:
        """What the links of the run bear, in bytes, ascending."""
        height, width = self.image.pixels.shape[:2]
        alike: dict[LinkPoint, list[Point]] = {}
        for point in self._points:
            # How much a link bears hangs on neither the SNR nor what is lost above it.
            alike.setdefault(replace(point.link, snr_db=0.0, ebn0_db=0.0), []).append(point)
        found: set[int] = set()
        max_bytes = shown_variant(self.plan).scenario.packets.max_bytes
        for link, points in alike.items():
            uses = budget_channel_uses(link.cbr, height, width)
            options = layer_links(link)
            if not link.chooses:
                # A single layer is sent as the first one is.
                options = options[:1]
            new = {capacity_bytes(max_bytes, uses, option) for option in options} - found - {0}
            if new and any(map(self._is_known, points)):
                found |= new
        return sorted(found)


def _decoded(
    codec: ImageCodec, encoded: EncodedImage, image: SourceImage
) -> Iterator[tuple[int, DecodedImage]]:
    """What the first 1, 2, ... layers show; of a codec that is not layered, what all of them do."""
    layers = [layer.whole for layer in encoded.layers]
    first = 1 if codec.scalable else len(layers)
    prefixes = [layers[:count] for count in range(first, len(layers) + 1)]
    at_once = max(1, DECODE_PIXELS // (image.pixels.size // 3))
    decode: Callable[[Sequence[Sequence[ReceivedLayer]]], list[DecodedImage]] = codec.decode_batch
    for start in range(0, len(prefixes), at_once):
        some = prefixes[start : start + at_once]
        for prefix, decoded in zip(some, decode(some), strict=True):
            yield len(prefix), decoded


def _row(codec: str, size: str, image: SourceImage, budget: int | None) -> Row:
    return {
        "codec": codec,
        "image": image.name,
        "size": size,
        "budget_bytes": "" if budget is None else budget,
    }


def _gain(encoded: EncodedImage, count: int, decoded: DecodedImage, image: SourceImage) -> Row:
    kept = encoded.layers[:count]
    payload_bytes = sum(len(layer.data) for layer in kept)
    height, width = image.pixels.shape[:2]
    if decoded.image is None or decoded.image.shape != image.pixels.shape:
        raise ValueError(f"{image.name}: {count} whole layers gave no picture")
    return {
        "layers": count,
        "layer": kept[-1].name,
        "payload_bytes": payload_bytes,
        "bpp": 8 * payload_bytes / (height * width),
        "psnr_db": psnr_db(image.pixels, decoded.image),
        "ssim": ssim(image.pixels, decoded.image),
    }
