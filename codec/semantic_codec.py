"""The paper's scheme end to end: a semantic base layer and eight bitplane layers.

    picture --SemanticEncoder--> latent --CABAC--> BASE LAYER
                                   |
                            SemanticDecoder
                                   |
                          reconstruction R_9
                                   |
       for plane i = 8 .. 1:       v
         R_(i+1), planes 8..i+1 --EnhancementNetwork i--> V_pred
              --bitplane correction (1)-(3)--> predicted plane
              --xor true plane--> error flags --CABAC--> LAYER OF PLANE i
         R_i = V_pred clipped to what the planes 8..i allow

The decoder does the same with the roles of "true plane" and "error flags" exchanged. It stops at
the first layer that is missing or cut; what a cut layer still determines is used. With all nine
layers the picture is exact.

Source: Samarathunga et al., "Semantic communication and residual deep learning-driven bitplane
coding for scalable image compression and communications".

Layer 0 begins with the picture header (picture_header.py); everything else in every layer is one
terminated CABAC stream. Pictures travel as (B, 3, H, W) inside this file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

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
    intact_layers,
)
from codec.bitplane_correction import CorrectionRule, correct_value, predicted_bits
from codec.bitplanes import PLANES, known_value, merge_plane, split_plane
from codec.cabac import encode_bins
from codec.cabac_engine import MOST_BINS_PER_BYTE, decoder_input
from codec.latent_coder import decode_latent, list_latent_bins
from codec.networks import whole_levels
from codec.picture_header import pack_picture_header, unpack_picture_header
from codec.plane_coder import CHANNEL_ORDER, decode_plane, list_plane_bins
from codec.profile import Profile, load_paper_profile
from codec.semantic_encoder import LATENT_CHANNELS, LATENT_STRIDE

BITSTREAM_VERSION = 2
LEAST_SHARE_OF_A_LATENT = 1 / 16
"""Of a base layer that was cut, less than could hold this share of its latent shows nothing: so a
damaged header that names a huge picture costs no memory."""
LAYER_NAMES = ("base", *(f"plane{plane}" for plane in PLANES))


class SemanticCodec:
    """The layered codec behind the protocol `ImageCodec`.

    profile: name of trained weights (codec/weights), the path of a safetensors file, or a Profile.
    layers: send at most so many, 1 (base only) to 9 (lossless).
    correction: the bitplane correction rule; encoder and decoder must agree.
    """

    name = "semantic"
    scalable = True
    reversible = True
    layer_names = LAYER_NAMES
    bitstream_version = BITSTREAM_VERSION

    def __init__(
        self,
        profile: str | Profile = "paper",
        layers: int = len(LAYER_NAMES),
        correction: CorrectionRule = "interval",
    ) -> None:
        if not 1 <= layers <= len(LAYER_NAMES):
            raise CodecError(f"expected 1 to {len(LAYER_NAMES)} layers, found {layers}")
        self.layers, self.correction = layers, correction
        self.profile = load_paper_profile(profile) if isinstance(profile, str) else profile

    # ------------------------------------------------------------------------------- encoding

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See ImageCodec. The budget is ignored: the stream may be cut at any byte."""
        del budget_bytes
        for image in images:
            check_image(image)
        encoded: list[EncodedImage | None] = [None] * len(images)
        for members in _groups([image.shape for image in images]):
            pictures = np.stack([images[b].transpose(2, 0, 1) for b in members])
            for b, layers in zip(members, self._encode_same_size(pictures), strict=True):
                encoded[b] = EncodedImage(layers)
        return encoded

    def _encode_same_size(self, pictures: NDArray[np.uint8]) -> list[tuple[Layer, ...]]:
        height, width = pictures.shape[2:]
        header = pack_picture_header(height, width, version=BITSTREAM_VERSION)
        latent = self.profile.autoencoder.latent(pictures)
        layers: list[list[Layer]] = []
        for each in latent:
            bins, contexts = list_latent_bins(each, self.profile.latent_model)
            stream = encode_bins(bins, contexts, self.profile.latent_states)
            layers.append([Layer(LAYER_NAMES[0], header + stream)])
        current = self._base_pictures(latent, height, width)
        for index, plane in enumerate(PLANES[: self.layers - 1], start=1):
            step = self._predict(plane, current, known_value(pictures, plane + 1))
            bits = split_plane(pictures, plane)
            model, states = self.profile.plane_models[plane], self.profile.plane_states[plane]
            for b, stack in enumerate(layers):
                flags, contexts = list_plane_bins(
                    step.values[b], step.known[b], step.predicted[b], bits[b], plane, model,
                )  # fmt: skip
                stack.append(Layer(LAYER_NAMES[index], encode_bins(flags, contexts, states)))
            current = step.within(known_value(pictures, plane), plane - 1)
        return [tuple(stack) for stack in layers]

    # --------------------------------------------------------------------- shared by both ends

    def _base_pictures(
        self, latent: NDArray[np.int32], height: int, width: int
    ) -> NDArray[np.uint8]:
        values = self.profile.autoencoder.reconstruction(latent, height, width)
        return whole_levels(values).astype(np.uint8)

    def _predict(
        self, plane: int, current: NDArray[np.uint8], known: NDArray[np.uint8]
    ) -> _Prediction:
        # A sweep decodes one stream cut in many places: equal states are predicted once.
        first: dict[bytes, int] = {}
        states = [a.tobytes() + b.tobytes() for a, b in zip(current, known, strict=True)]
        index = [first.setdefault(state, len(first)) for state in states]
        some = [index.index(i) for i in range(len(first))]
        values = self.profile.enhancement[plane].prediction(current[some], known[some])[index]
        final = correct_value(whole_levels(values), known, plane, self.correction)
        return _Prediction(known, values, predicted_bits(final, plane))

    # ------------------------------------------------------------------------------- decoding

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See ImageCodec. Of damaged layers, what comes before the first damaged packet is used.

        An arithmetic decoder that has met a wrong bit is lost for the rest of its layer.
        """
        received = [intact_layers(layers) for layers in received]
        decoded = [DecodedImage(None, 0)] * len(received)
        bases = [self._decode_base(layers) for layers in received]
        shapes = [None if base is None else (base.height, base.width) for base in bases]
        for members in _groups(shapes):
            group = [base for b in members if (base := bases[b]) is not None]
            works = self._decode_planes(group, [received[b] for b in members]) if group else []
            for b, work in zip(members, works, strict=bool(group)):
                picture = np.ascontiguousarray(work.picture.transpose(1, 2, 0))
                decoded[b] = DecodedImage(picture, work.layers_decoded)
        return decoded

    def _decode_base(self, layers: Sequence[ReceivedLayer]) -> _Base | None:
        if not layers:
            return None
        try:
            header = unpack_picture_header(layers[0].data, version=BITSTREAM_VERSION)
        except CodecError:
            return None
        height, width, start = header.height, header.width, header.bytes_used
        shape = (LATENT_CHANNELS, -(-height // LATENT_STRIDE), -(-width // LATENT_STRIDE))
        stream = layers[0].data[start:]
        share = 1 if layers[0].complete else LEAST_SHARE_OF_A_LATENT
        if share * np.prod(shape) > MOST_BINS_PER_BYTE * len(stream):
            return None
        latent = np.zeros(shape, np.int32)
        states = self.profile.latent_states.copy()
        certain, whole = decode_latent(
            decoder_input(stream), states, latent, self.profile.latent_model
        )
        if certain == 0 or (layers[0].complete and not whole):
            return None
        return _Base(height, width, latent, whole)

    def _decode_planes(
        self, bases: list[_Base], received: Sequence[Sequence[ReceivedLayer]]
    ) -> list[_Work]:
        """Decodes pictures of one size together, plane by plane, as far as each one's layers go."""
        latents = np.stack([base.latent for base in bases])
        works = [
            _Work(picture, np.zeros_like(picture), base.whole, int(base.whole))
            for picture, base in zip(
                self._base_pictures(latents, bases[0].height, bases[0].width), bases, strict=True
            )
        ]
        for index, plane in enumerate(PLANES, start=1):
            active = [
                (work, layers[index])
                for work, layers in zip(works, received, strict=True)
                if work.going_on and len(layers) > index
            ]
            if not active:
                break
            step = self._predict(
                plane,
                np.stack([work.picture for work, _ in active]),
                np.stack([work.known for work, _ in active]),
            )
            bits, certain = step.predicted.copy(), np.zeros(step.predicted.shape, np.bool_)
            for b, (work, layer) in enumerate(active):
                pixels = self._decode_plane(plane, layer, step, b, bits[b], work)
                flat = certain[b].reshape(3, -1)
                for place, c in enumerate(CHANNEL_ORDER):
                    flat[c, : max(pixels - place * flat.shape[1], 0)] = True
            # Where the plane is not certain, the prediction stays within what those above allow.
            known = merge_plane(step.known, bits, plane)
            pictures = np.where(
                certain, step.within(known, plane - 1), step.within(step.known, plane)
            )
            for b, (work, _) in enumerate(active):
                work.picture, work.known = pictures[b], known[b]
        return works

    def _decode_plane(
        self,
        plane: int,
        layer: ReceivedLayer,
        step: _Prediction,
        b: int,
        bits: NDArray[np.uint8],
        work: _Work,
    ) -> int:
        """Fills picture b's `bits`; returns how many, in coding order, may be shown."""
        model, states = self.profile.plane_models[plane], self.profile.plane_states[plane]
        pixels, work.going_on = decode_plane(
            decoder_input(layer.data), states.copy(), step.values[b],
            step.known[b], bits, plane, model,
        )  # fmt: skip
        if work.going_on:
            work.layers_decoded += 1
        # A layer that claims to be whole and does not end as it should is not shown at all.
        return 0 if layer.complete and not work.going_on else pixels


@dataclass(frozen=True, slots=True)
class _Prediction:
    """One plane, (B, 3, H, W): V_corr of (1), V_pred in 1/16 grey level, the bits of (3)."""

    known: NDArray[np.uint8]
    values: NDArray[np.int32]
    predicted: NDArray[np.uint8]

    def within(self, known: NDArray[np.uint8], open_planes: int) -> NDArray[np.uint8]:
        """V_pred in whole grey levels, clipped to [known, known + 2^open_planes - 1]."""
        clipped = correct_value(whole_levels(self.values), known, open_planes, "interval")
        return clipped.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Base:
    """A base layer as decoded; values that a cut stream leaves open are 0 in `latent`."""

    height: int
    width: int
    latent: NDArray[np.int32]
    whole: bool


@dataclass(slots=True)
class _Work:
    """One picture on its way through the planes, (3, H, W)."""

    picture: NDArray[np.uint8]
    known: NDArray[np.uint8]
    going_on: bool
    layers_decoded: int


def _groups(keys: Sequence[Hashable]) -> Iterator[list[int]]:
    """Positions of equal keys, together."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        groups[key].append(position)
    yield from groups.values()
