"""The folder of examples as figures and reports read it. It may come from anybody."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.datasets.picture import ImageSourceError, read_picture
from testbed.errors import TestbedError
from testbed.evaluation.trials_table import TEXT_COLUMNS
from testbed.examples.files import (
    EXAMPLES,
    LAYER_COLUMNS,
    LAYERS_CSV,
    ORIGINAL_PNG,
    PICTURE_COLUMNS,
    PICTURES_CSV,
    PLANE_COLUMNS,
    PLANES_CSV,
)

_TEXTS = (*TEXT_COLUMNS, "trial_id", "file", "layer", "stage", "size")
_WHOLE = (
    "repetition", "transmissions_allowed", "layers_decoded", "layers", "payload_bytes", "plane",
    "left", "top", "width", "height", "wrong_bits", "bits",
)  # fmt: skip
_NO_NUMBER = ["nan", ""]
MOST_BYTES = 64 << 20
"""Of a table, which a run makes of some hundred rows."""
LONGEST_FILE = 200
"""Letters of a picture's name."""


class ExamplesError(TestbedError):
    """A table or a picture of examples that cannot be used."""


@dataclass(frozen=True)
class Examples:
    """A run's examples. Tables that are not there are empty."""

    folder: Path

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """pictures.csv: PICTURE_COLUMNS."""
        return self._table(PICTURES_CSV, PICTURE_COLUMNS)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """layers.csv: LAYER_COLUMNS."""
        return self._table(LAYERS_CSV, LAYER_COLUMNS)

    @cached_property
    def planes(self) -> pd.DataFrame:
        """planes.csv: PLANE_COLUMNS."""
        return self._table(PLANES_CSV, PLANE_COLUMNS)

    @cached_property
    def original(self) -> NDArray[np.uint8]:
        """The picture that was sent, uint8 (H, W, 3)."""
        return self._picture(ORIGINAL_PNG)

    def received(self, file: str) -> NDArray[np.uint8]:
        """A received picture, of the original's size. Raises ExamplesError."""
        return self._sized(file, self.original.shape)

    def plane(self, file: str, height: int, width: int) -> NDArray[np.bool_]:
        """A plane, bool (3, H, W). Raises ExamplesError."""
        bits = self._sized(file, (height, 3 * width, 3))[:, :, 0] > 0
        return np.stack(np.split(bits, 3, axis=1))

    def _sized(self, file: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        picture = self._picture(file)
        if picture.shape != shape:
            expected, found = (f"{each[1]}x{each[0]}" for each in (shape, picture.shape))
            raise ExamplesError(
                f"{self.folder / file}: expected a picture of {expected} pixels, found {found}"
            )
        return picture

    def _picture(self, file: str) -> NDArray[np.uint8]:
        # A table may name any path of the machine, and so may a link.
        plain = Path(file).name == file and file.endswith(".png") and len(file) <= LONGEST_FILE
        if not plain or self.folder.is_symlink() or (self.folder / file).is_symlink():
            raise ExamplesError(
                f"{self.folder}: expected names of PNG files in this folder, found {file[:60]!r}"
            )
        try:
            return read_picture(self.folder / file)
        except ImageSourceError as error:
            raise ExamplesError(str(error)) from error

    def _table(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        path = self.folder / name
        if not path.is_file():
            return pd.DataFrame(columns=list(columns))
        if path.stat().st_size > MOST_BYTES:
            raise ExamplesError(f"{path}: expected {MOST_BYTES >> 20} MiB at most")
        kinds = {
            **dict.fromkeys(columns, "float64"),
            **dict.fromkeys(_TEXTS, "str"),
            **dict.fromkeys(_WHOLE, "int64"),
            "failed": "bool",
        }
        numbers = [column for column in columns if kinds[column] == "float64"]
        try:
            table = pd.read_csv(
                path,
                keep_default_na=False,
                na_values=dict.fromkeys(numbers, _NO_NUMBER),
                dtype=kinds,
            )
        except (OSError, ValueError) as error:
            words = " ".join(str(error).split())
            raise ExamplesError(f"{path}: cannot be read: {words}") from error
        if missing := [column for column in columns if column not in table]:
            raise ExamplesError(
                f"{path}: has no column {missing[0]!r}: another version of the testbed wrote it; "
                "`testbed run` into this folder writes it anew"
            )
        return table


def read_examples(run: Path) -> Examples:
    """Those of the run in a folder; all tables are empty if it has kept none."""
    return Examples(run / EXAMPLES)
