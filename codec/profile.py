"""A profile: everything trained that a layered codec needs, from one safetensors file.

`weights/<profile>.safetensors` holds integers only; `weights/<profile>.json` beside it is the
manifest: the file's sha256, the data and command that made it, and its validation figures.

A profile is of one of two schemes, which the names of its tensors tell: the paper's (below) or the
embedded one (codec.embedded.profile).

    encoder.*  decoder.*            semantic encoder and decoder (see convolution.py)
    enhancement8.* .. enhancement1.*
    latent.first, .first_bias ...   what the latent's coder expects: latent_context.LatentModel
    latent.p1                       start states of the latent's contexts, P(bin = 1) 2^15
    plane8.p1 .. plane1.p1          the same for each plane's error flags
    planeN.weights, .residual_steps, .slope_steps    see plane_coder.PlaneModel
    shift                           how fast contexts adapt (H.266, 9.3.2.2)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor

from codec.base import CodecError
from codec.bitplanes import PLANES
from codec.cabac import context_states_from_p1_15bit
from codec.convolution import check_integers
from codec.embedded.profile import EmbeddedProfile, embedded_profile_from_tensors
from codec.latent_coder import CONTEXTS as LATENT_CONTEXTS
from codec.latent_context import LatentModel, checked
from codec.networks import ExactAutoencoder, ExactEnhancement
from codec.plane_coder import CONTEXTS as PLANE_CONTEXTS
from codec.plane_coder import FEATURES, STEPS, PlaneModel
from codec.semantic_encoder import LATENT_CHANNELS

WEIGHTS_FOLDER = Path(__file__).parent / "weights"

Scheme: TypeAlias = Literal["paper", "embedded"]


@dataclass(frozen=True)
class Profile:
    """The networks and tables of the paper's scheme; `sha256` is that of the weights file.

    `latent_states` and `plane_states[plane]` are CABAC context states, int32 (contexts, 4).
    """

    name: str
    sha256: str
    autoencoder: ExactAutoencoder
    enhancement: dict[int, ExactEnhancement]
    latent_model: LatentModel
    latent_states: NDArray[np.int32]
    plane_states: dict[int, NDArray[np.int32]]
    plane_models: dict[int, PlaneModel]


def profile_names() -> list[str]:
    """Profiles that ship with the package."""
    return sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.safetensors"))


@cache
def load_profile(name: str) -> Profile | EmbeddedProfile:
    """A profile by name or by the path of a safetensors file. Raises CodecError if it cannot be."""
    path = _weights_path(name)
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _no_weights(name) from error
    try:
        tensors = load(raw)
        build = _BUILDERS[_scheme_of(tensors)]
        return build(path.stem, hashlib.sha256(raw).hexdigest(), tensors)
    except Exception as error:
        raise CodecError(f"{path} is not a weights file of this codec: {error}") from error


def load_paper_profile(name: str) -> Profile:
    """The same for what is about the paper's scheme alone. Raises CodecError for any other."""
    profile = load_profile(name)
    if not isinstance(profile, Profile):
        raise CodecError(f"the profile '{name}' is not of the paper's scheme")
    return profile


def profile_scheme(name: str) -> Scheme:
    """Which scheme a profile is of; reads no more of its file than the index. Raises CodecError."""
    path = _weights_path(name)
    try:
        with safe_open(path, framework="pt") as file:
            return _scheme_of(file.keys())
    except OSError as error:
        raise _no_weights(name) from error
    except Exception as error:
        raise CodecError(f"{path} is not a weights file of this codec: {error}") from error


def _weights_path(name: str) -> Path:
    return Path(name) if name.endswith(".safetensors") else WEIGHTS_FOLDER / f"{name}.safetensors"


def _no_weights(name: str) -> CodecError:
    return CodecError(
        f"no weights for the profile '{name}': there are {', '.join(profile_names())}"
    )


def _scheme_of(keys: Iterable[str]) -> Scheme:
    return "embedded" if any(key.startswith("predictor.") for key in keys) else "paper"


def profile_from_tensors(name: str, sha256: str, tensors: dict[str, Tensor]) -> Profile:
    """Builds a profile from the tensors of a weights file.

    Raises KeyError if one is missing, ValueError or CodecError if one does not fit.
    """

    def part(prefix: str) -> dict[str, Tensor]:
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}

    def table(key: str, *shape: int) -> NDArray[np.int32]:
        # Compiled code indexes these without checks: their sizes must be right.
        if tuple(tensors[key].shape) != shape:
            raise ValueError(f"{key}: expected shape {shape}, found {tuple(tensors[key].shape)}")
        check_integers(tensors[key])
        return tensors[key].numpy().astype(np.int32)

    def steps(key: str) -> NDArray[np.int32]:
        found = table(key, STEPS)
        if np.any(np.diff(found) <= 0):
            raise ValueError(f"{key}: expected ascending thresholds, found {found.tolist()}")
        return found

    latent_model = checked(
        LatentModel(*(tensors[f"latent.{key}"].numpy() for key in LatentModel._fields))
    )
    if len(latent_model.first) != LATENT_CHANNELS:
        raise ValueError(f"latent model: expected {LATENT_CHANNELS} channels")
    shift = int(tensors["shift"])
    return Profile(
        name=name,
        sha256=sha256,
        autoencoder=ExactAutoencoder(part("encoder"), part("decoder")),
        enhancement={plane: ExactEnhancement(part(f"enhancement{plane}")) for plane in PLANES},
        latent_model=latent_model,
        latent_states=context_states_from_p1_15bit(table("latent.p1", LATENT_CONTEXTS), shift),
        plane_states={
            plane: context_states_from_p1_15bit(table(f"plane{plane}.p1", PLANE_CONTEXTS), shift)
            for plane in PLANES
        },
        plane_models={
            plane: PlaneModel(
                table(f"plane{plane}.weights", 3, FEATURES),
                steps(f"plane{plane}.residual_steps"),
                steps(f"plane{plane}.slope_steps"),
            )
            for plane in PLANES
        },
    )


_BUILDERS: dict[Scheme, Callable[[str, str, dict[str, Tensor]], Profile | EmbeddedProfile]] = {
    "paper": profile_from_tensors,
    "embedded": embedded_profile_from_tensors,
}
