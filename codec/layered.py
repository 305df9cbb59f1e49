"""The layered codec, whichever scheme its profile is of: what both share, and how one is opened.

    open_layered("paper") -> SemanticCodec      a base layer and eight bitplane layers
    open_layered("embedded") -> EmbeddedCodec   one stream with nine places to cut it
    open_layered("embedded", fit=8) -> FittedCodec      the same, made for one budget

Nothing outside of this file needs to know which of them it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from codec.base import CodecError, EncodedImage, ImageCodec, ReceivedLayer
from codec.bitplane_correction import CorrectionRule
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.fitted import FittedCodec
from codec.embedded.profile import EmbeddedProfile
from codec.profile import Scheme, load_profile, profile_scheme
from codec.semantic_codec import SemanticCodec

DEFAULT_CORRECTION: CorrectionRule = "interval"


class LayeredProfile(Protocol):
    """What every profile says of itself; `sha256` is that of its weights file, in hex."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class LayeredCodec(ImageCodec, Protocol):
    """An ImageCodec whose streams are made of layers by trained weights.

    layer_names: of all its layers, in order. layers: how many of them it sends.
    bitstream_version: 0 .. 15, at the head of every stream; no two schemes share one. reversible:
    whether all layers together are the exact picture.
    """

    layer_names: tuple[str, ...]
    layers: int
    bitstream_version: int
    reversible: bool

    @property
    def profile(self) -> LayeredProfile: ...


def open_layered(
    profile: str,
    layers: int | None = None,
    correction: CorrectionRule = DEFAULT_CORRECTION,
    slice_side: int | None = None,
    reversible: bool = True,
    fit: int | None = None,
) -> LayeredCodec:
    """The codec with the weights `profile`, a name or the path of a safetensors file.

    layers: send at most so many, all unless given. correction: the bitplane correction rule, of the
    paper's scheme. slice_side: of the slices that a picture is cut into, in pixels, of the embedded
    one; reversible: whether its streams end in the exact picture, or are better before that; fit:
    code anew for each budget instead, in one layer, with the best of so many steps (FittedCodec).
    Raises CodecError for weights that cannot be read and for what the scheme has not.
    """
    return _OPENERS[profile_scheme(profile)](
        _Wish(profile, layers, correction, slice_side, reversible, fit)
    )


def scheme_words(profile: str) -> str:
    """A few words about a profile's scheme. Raises CodecError as `open_layered` does."""
    return _WORDS[profile_scheme(profile)]


def cut_layers(encoded: EncodedImage, n_bytes: int) -> tuple[ReceivedLayer, ...]:
    """The first `n_bytes` of a coded image's layers: those that are whole, and the last one cut."""
    left, kept = n_bytes, []
    for layer in encoded.layers:
        if left <= 0:
            break
        data = layer.data[:left]
        kept.append(ReceivedLayer(data, len(data) == len(layer.data), known=layer.known))
        left -= len(data)
    return tuple(kept)


class _Wish(NamedTuple):
    """What `open_layered` was asked for."""

    profile: str
    layers: int | None
    correction: CorrectionRule
    slice_side: int | None
    reversible: bool
    fit: int | None

    def layers_of(self, names: tuple[str, ...]) -> int:
        if self.layers is None:
            return len(names)
        if not 1 <= self.layers <= len(names):
            raise CodecError(
                f"the profile '{self.profile}' has {len(names)} layers: expected 1 to "
                f"{len(names)}, found {self.layers}"
            )
        return self.layers


def _open_paper(wish: _Wish) -> LayeredCodec:
    if wish.slice_side is not None:
        raise CodecError(f"the profile '{wish.profile}' cuts no picture into slices (slice_side)")
    if not wish.reversible:
        raise CodecError(f"the profile '{wish.profile}' has no choice of transforms (reversible)")
    if wish.fit is not None:
        raise CodecError(f"the profile '{wish.profile}' fits no stream to its budget (fit)")
    return SemanticCodec(wish.profile, wish.layers_of(SemanticCodec.layer_names), wish.correction)


def _open_embedded(wish: _Wish) -> LayeredCodec:
    if wish.correction != DEFAULT_CORRECTION:
        raise CodecError(f"the profile '{wish.profile}' has no correction rule")
    loaded = load_profile(wish.profile)
    assert isinstance(loaded, EmbeddedProfile)
    if wish.fit is not None:
        if wish.layers is not None or wish.slice_side is not None:
            raise CodecError(
                "a stream with `fit` has one layer and no slices: leave `layers` and `slice_side` "
                "out"
            )
        return FittedCodec(loaded, wish.fit)
    layers = wish.layers_of(EmbeddedCodec.layer_names)
    return EmbeddedCodec(loaded, layers, wish.slice_side, wish.reversible)


_OPENERS: dict[Scheme, Callable[[_Wish], LayeredCodec]] = {
    "paper": _open_paper,
    "embedded": _open_embedded,
}
_WORDS: dict[Scheme, str] = {
    "paper": "the paper's scheme: a base layer and eight layers of predicted bitplanes",
    "embedded": "one embedded stream: predicted bitplanes of a transform, cut into nine layers",
}
