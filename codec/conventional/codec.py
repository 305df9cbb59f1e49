"""Any conventional format as a codec of one layer: the best quality that fits, headers, damage."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from codec.base import DecodedImage, EncodedImage, Image, Layer, ReceivedLayer, check_image
from codec.conventional.file_format import FileFormat, Headers, OnLoss, UnsupportedPolicy
from codec.conventional.header_policy import Abbreviated, HeaderPolicy, PayloadOnly, WholeFile
from codec.conventional.mosaic import Mosaic
from codec.conventional.rate_search import best_fitting

_POLICIES: dict[Headers, type[HeaderPolicy]] = {
    "file": WholeFile,
    "abbreviated": Abbreviated,
    "payload": PayloadOnly,
    "mosaic": Mosaic,
}
_REMEMBERED_IMAGES = 4096


class ConventionalCodec:
    """A file format, a header policy and a damage policy: see `file_format.py` for both."""

    scalable: bool = False

    def __init__(
        self, file_format: FileFormat, headers: Headers = "file", on_loss: OnLoss = "drop"
    ) -> None:
        """Raises UnsupportedPolicy for a policy that the format does not support."""
        if headers not in file_format.headers:
            raise UnsupportedPolicy(
                "headers",
                f"expected headers among {', '.join(file_format.headers)} for {file_format}, "
                f"found {headers}",
            )
        if on_loss == "truncate" and headers == "mosaic":
            raise UnsupportedPolicy(
                "on_loss",
                "expected on_loss among drop, conceal for headers: mosaic, found truncate: what is "
                "cut off a mosaic is not the end of one picture",
            )
        if on_loss == "truncate" and not file_format.truncates:
            where = file_format.truncates_with
            raise UnsupportedPolicy(
                "on_loss",
                f"expected on_loss among drop, conceal for {file_format}, found truncate"
                + (f": set {where} to have it" if where else ""),
            )
        self.name: str = file_format.name
        self.file_format = file_format
        self.headers: Headers = headers
        self.on_loss: OnLoss = on_loss
        self._policy = _POLICIES[headers](file_format)
        self._sizes_of: OrderedDict[bytes, dict[int, int]] = OrderedDict()

    @property
    def versions(self) -> str:
        """What beside format and policies determines its streams."""
        return self._policy.versions

    def check_size(self, height: int, width: int) -> None:
        """Raises CodecError for pictures too large for the format or for its header policy."""
        self._policy.check_size(height, width)

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """Codes each image: see `ImageCodec.encode_batch`.

        At the format's default quality without a budget, else at the best whose stream fits (see
        `rate_search.best_fitting`). Raises CodecError for what `check_size` refuses, too.
        """
        for image in images:
            check_image(image)
            self.check_size(*image.shape[:2])
        return [self._encode(image, budget_bytes) for image in images]

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """Decodes each image: see `ImageCodec.decode_batch`. Foreign bytes give no picture."""
        return [
            self._decoded(layers[0]) if layers else DecodedImage(None, 0) for layers in received
        ]

    def _encode(self, image: Image, budget_bytes: int | None) -> EncodedImage | None:
        if budget_bytes is None:
            return EncodedImage((self._layer(image, self.file_format.default_setting),))
        settings = self._policy.settings(*image.shape[:2])
        sizes = self._sizes(image)
        layers: dict[int, Layer] = {}

        def size_bytes(step: int) -> int:
            if step not in sizes:
                layers[step] = self._layer(image, settings[step])
                sizes[step] = len(layers[step].data)
            return sizes[step]

        step = best_fitting(size_bytes, len(settings), budget_bytes, self._policy.uneven_steps)
        if step is None:
            return None
        return EncodedImage((layers.get(step) or self._layer(image, settings[step]),))

    def _sizes(self, image: Image) -> dict[int, int]:
        """Stream sizes by step, as far as they are known: a sweep asks for many budgets."""
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        sizes = self._sizes_of.setdefault(key, {})
        if len(self._sizes_of) > _REMEMBERED_IMAGES:
            self._sizes_of.popitem(last=False)
        return sizes

    def _layer(self, image: Image, setting: float) -> Layer:
        stream, known = self._policy.encode(image, setting)
        return Layer(self.name, stream, known)

    def _decoded(self, layer: ReceivedLayer) -> DecodedImage:
        whole = layer.complete and layer.intact_bytes is None
        data = layer.data[: layer.intact_bytes] if self.on_loss == "truncate" else layer.data
        if not data or (self.on_loss == "drop" and not whole):
            return DecodedImage(None, 0)
        try:
            image = self._policy.decode(data, layer.known, whole=whole)
        except (ValueError, IndexError):
            return DecodedImage(None, 0)
        return DecodedImage(image, int(whole))
