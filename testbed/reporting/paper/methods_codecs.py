"""Sentences on pictures, codecs and metrics, for a methods section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.reporting.paper.scenario_facts import Canonical, part
from testbed.reporting.paper.wording import counted, listed, plural

_SOURCES = {
    "samples32": "pieces of scikit-image's photographs [@scikitimage], averaged down to 32x32",
    "samples_large": "pieces of scikit-image's photographs [@scikitimage]",
    "cifar10_test": "CIFAR-10's test set [@krizhevsky2009]",
    "cifar10_train": "CIFAR-10's training set [@krizhevsky2009]",
    "kodak": "the Kodak set [@kodak]",
}


def image_sentences(
    sources: Sequence[Canonical], images: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """sources: of all variations, each once. images: of the manifest."""
    taken = listed(_source_words(each) for each in sources)
    counts = Counter(_size(each["shape"]) for each in images)
    sizes = listed(
        f"{counted(count, 'picture')} of {size} pixels" for size, count in counts.items()
    )
    are = plural(len(images), "The image is", "The images are")
    yield f"{are} {sizes}, in RGB with 8 bits per value, from {taken}"
    if images:
        each = plural(len(images), "the picture", "each picture")
        yield f"The manifest has the SHA-256 of {each}"


def _size(shape: Sequence[int]) -> str:
    longer, shorter = max(shape[:2]), min(shape[:2])
    return f"{longer}x{shorter}"


def _source_words(source: Canonical) -> str:
    words = _SOURCES.get(str(source["source"]), f"`{source['source']}`")
    chosen = []
    if source.get("classes"):
        chosen.append(f"the classes {listed(source['classes'])}")
    if source.get("indices") is not None:
        indices = source["indices"]
        some = indices if isinstance(indices, str) else ", ".join(map(str, indices))
        chosen.append(f"the numbers {some}")
    if source.get("sample") is not None:
        chosen.append(f"{source['sample']:,} drawn at random by the seed {source.get('seed', 1)}")
    if source.get("limit") is not None:
        chosen.append(f"the first {source['limit']:,}")
    return f"{words} ({', '.join(chosen)})" if chosen else words


_FORMATS = {
    "jpeg": "JPEG [@jpeg]",
    "jpeg2000": "JPEG2000 [@jpeg2000]",
    "webp": "WebP [@webp]",
    "avif": "AVIF [@avif]",
    "heif": "HEVC intra pictures in HEIF [@heif; @hevc]",
    "jpegxl": "JPEG XL [@jpegxl]",
    "png": "PNG [@png]",
}
_HEADERS = {
    "file": "Every byte of its files is charged",
    "abbreviated": "Of its headers only what a decoder that knows the codec's settings cannot know "
    "is charged",
    "payload": "Only its bytes that code the picture are charged, the headers being known for free",
    "mosaic": "What is charged is what the picture adds to a file of 16 of which both ends know 15",
}
_ON_LOSS = {
    "drop": "of a stream that is not whole and intact nothing is shown",
    "truncate": "the intact beginning of a damaged stream is shown",
    "conceal": "a damaged stream is shown as its library decodes it",
}


def codec_sentences(
    codecs: Sequence[Canonical], labels: Mapping[str, str], libraries: Mapping[str, str]
) -> Iterator[str]:
    """labels: what codecs are called in figures, by name. libraries: the manifest's `codecs`."""
    times = Counter(codec["name"] for codec in codecs)
    for codec in codecs:
        named = f"`{labels.get(codec['name'], codec['name'])}`"
        # Variations may have one of the same name.
        named += ", in some variations," if times[codec["name"]] > 1 else ""
        kind = codec["type"]
        if kind == "semantic":
            yield f"{named} is {_semantic_words(codec)}"
        elif kind in _FORMATS:
            yield f"{named} is {_conventional_words(codec, libraries)}"
            yield f"{_HEADERS[codec['headers']]}; {_ON_LOSS[codec['on_loss']]}"
        elif kind == "deepjscc":
            trained = {"awgn": "white noise", "rayleigh": "Rayleigh fading"}[codec["trained_for"]]
            yield (
                f"{named} is learned analog transmission after DeepJSCC [@bourtsoulatze2019], "
                f"with attention to the SNR [@xu2022], by networks that the testbed has trained "
                f"for {trained}; its symbols, of unit mean power for each picture, have neither "
                "headers nor CRCs"
            )
        else:
            yield f"{named} is the codec `{kind}` of a plug-in"


def _semantic_words(codec: Canonical) -> str:
    if codec["profile"] == "embedded":
        exact = codec.get("reversible", True) and not codec.get("fit")
        kind = "a reversible" if exact else "an irreversible"
        words = (
            "the testbed's layered codec with an embedded stream, after [@samarathunga]: planes of "
            f"{kind} transform, whose probabilities networks predict, coded arithmetically"
        )
        if codec.get("fit"):
            words += ", in one layer and anew for each budget"
        if codec.get("fit", 1) > 1:
            words += f" with the best of {counted(codec['fit'], 'quantiser step')}"
    elif codec["profile"] == "paper":
        rule = {
            "interval": "to the interval that the planes before it allow",
            "one_sided": "from below by the planes before it, as published",
        }
        words = (
            "the layered semantic codec of [@samarathunga], implemented and trained anew: a base "
            "layer, an autoencoder's latent, and eight bitplane layers; each plane is predicted by "
            f"a network, corrected {rule[codec['correction']]}, and its errors are coded with "
            "CABAC [@h266]"
        )
    else:
        words = f"the layered semantic codec [@samarathunga] with the profile `{codec['profile']}`"
    if codec.get("layers"):
        are = plural(codec["layers"], "is", "are")
        words += f"; {counted(codec['layers'], 'layer')} at most {are} sent"
    if codec.get("slice_side"):
        words += f"; slices of {codec['slice_side']} pixels a side decode alone"
    return words


def _conventional_words(codec: Canonical, libraries: Mapping[str, str]) -> str:
    """What differs from the codec's plainest settings, and by which library."""
    said = []
    if codec.get("subsampling"):
        said.append(codec["subsampling"])
    said += [word for key, word in (
        ("progressive", "progressive"), ("lossless", "lossless"),
        ("packet_lengths", "with packet lengths"),
    ) if codec.get(key)]  # fmt: skip
    if codec.get("quality_layers", 1) > 1:
        said.append(f"in {codec['quality_layers']} quality layers")
    if codec.get("restart_interval"):
        interval = codec["restart_interval"]
        said.append(f"with restart markers after {counted(interval, 'MCU')}")
    if codec.get("resolutions"):
        said.append(f"with {counted(codec['resolutions'], 'resolution')}")
    if codec.get("tune", "default") != "default":
        said.append(f"tuned for {codec['tune'].upper()}")
    if "speed" in codec:
        said.append(f"at speed {codec['speed']}")
    if "effort" in codec:
        said.append(f"at effort {codec['effort']}")
    if codec.get("container") == "jp2":
        said.append("in a JP2 file")
    settings = f" ({', '.join(said)})" if said else ""
    library = _library(libraries, codec["name"])
    by = f", coded by {library}" if library else ""
    aim = "" if codec.get("lossless") or codec["type"] == "png" else (
        ", at the best quality that fits the budget")  # fmt: skip
    return f"{_FORMATS[codec['type']]}{settings}{by}{aim}"


def _library(libraries: Mapping[str, str], name: str) -> str:
    """By their own names, with their versions; the testbed's own formats are no libraries."""
    told = next(
        (text for key, text in libraries.items() if key == name or key.startswith(f"{name} (")), ""
    )
    found = dict(each.rpartition(" ")[::2] for each in told.split(", ") if each)
    # The version of libjpeg's interface tells nothing beside that of libjpeg-turbo.
    if found.get("libjpeg_turbo", "None") != "None":
        found.pop("jpg", None)
    return listed(
        f"{_LIBRARIES.get(library, library)} {version}"
        for library, version in found.items()
        if library not in _OWN_FORMATS and version != "None"
    )


_LIBRARIES = {
    "libjpeg_turbo": "libjpeg-turbo", "jpg": "libjpeg", "jpg_2000": "OpenJPEG",
    "webp": "libwebp", "avif": "libavif", "zlib_ng": "zlib-ng",
}  # fmt: skip
"""What Pillow calls its features, and what these are."""
_OWN_FORMATS = ("bitstream", "mosaic")


_METRICS = {
    "psnr_y_db": "PSNR of luma is that of .299 R + .587 G + .114 B [@bt601]",
    "ms_ssim": "MS-SSIM [@wang2003] is defined above 160 pixels a side only",
    "lpips": "LPIPS [@zhang2018] is that of AlexNet's features, version 0.1; less is better",
}
_AGAINST = {
    "label": "the class that the data set states",
    "original": "the class that it sees in the picture that was sent",
}


def metric_sentences(metrics: Sequence[str] | None) -> Iterator[str]:
    """metrics: those that the scenario asks for beside PSNR and SSIM, as labels."""
    yield (
        "PSNR is computed for each picture over all pixels and the three colour channels, and then "
        "averaged; an exact picture counts as 60 dB"
    )
    yield (
        "SSIM [@wang2004] is the mean over the three colour channels, with a Gaussian window of "
        "11x11 pixels (standard deviation 1.5), over the area where it fits"
    )
    for each in metrics or ():
        asked = part("metric", each)
        if asked.type == "task" and asked.known:
            yield (
                "The task is recognition: the share of received pictures in which a small residual "
                "network [@he2016], trained on CIFAR-10 [@krizhevsky2009], sees "
                f"{_AGAINST[asked.parameters['against']]}"
            )
        else:
            yield _METRICS.get(asked.type, f"The metric `{asked.type}` is that of a plug-in")
    yield (
        "A picture of which nothing can be decoded has failed; mid-grey (128) stands in for it and "
        "counts in every mean"
    )
