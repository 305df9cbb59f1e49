"""A picture's bitplanes beside what the paper's codec predicts of them, wrong bits marked.

    plane 8 .. 1  x  the plane itself, the base layer's, after BCF, after EN and BCF

The green channel is shown, which is coded first; shares of wrong bits are over all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.run_folder import RunFolder
from testbed.examples.files import STAGES
from testbed.examples.reading import Examples, ExamplesError, read_examples
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.picture_panels import HEADING_POINTS, label_row, panel_grid
from testbed.figures.stems import stem_part
from testbed.figures.trial_captions import caption, examples_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEN = 1
STAGE_WORDS = {
    "true": "plane",
    "initial": "base layer",
    "bcf": "after BCF",
    "en": "after EN, BCF",
}
COLOURS = ("black", "white", "#D55E00")
"""0, 1, wrong: in grey print, too, the wrong ones are between the others."""


def draw_bitplane_views(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """One for each codec that the run has kept bitplanes of. Raises ExamplesError."""
    examples = read_examples(run.path)
    for codec, rows in examples.planes.groupby("codec", sort=False):
        first = rows.iloc[0]
        label = run.labels.get(str(codec), str(codec))
        part = f"{first['width']}x{first['height']} pixels"
        if first["left"] or first["top"]:
            part = f"the middle {part}, coded as a picture of their own"
        yield Drawing(
            stem=f"bitplanes_{stem_part(str(codec))}",
            title=f"Bitplanes and their prediction, {label}",
            caption=caption(
                [
                    f"Bitplanes of the picture {first['image']} ({part}), green channel: white is "
                    "1, black 0, orange a wrong bit. From the plane itself to what the codec goes "
                    "by: as the base layer's picture has it; after the bitplane correction "
                    "function (BCF) has made that consistent with the planes above; as the "
                    "enhancement network (EN) predicts it from these, corrected. Numbers: wrong "
                    "bits in % of the plane's, all three channels.",
                    examples_words(run),
                ]
            ),
            group="layers",
            figure=_views(examples, rows, width),
        )


def _views(examples: Examples, rows: pd.DataFrame, width: Width) -> Figure:
    """Planes side by side on a page, below each other in a column."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    height, wide = int(rows["height"].iloc[0]), int(rows["width"].iloc[0])
    planes = list(dict.fromkeys(rows["plane"]))
    by_place = {(row["plane"], row["stage"]): row for _, row in rows.iterrows()}
    if set(by_place) != {(plane, stage) for plane in planes for stage in STAGES}:
        raise ExamplesError(f"{examples.folder}: expected every plane at {', '.join(STAGES)}")
    across, down = (planes, STAGES) if width == "page" else (STAGES, planes)
    with plt.style.context(STYLE):
        lines = [1 + (line == 0 and width == "column") for line in range(len(down))]
        figure, grid = panel_grid(width, (height, wide), len(across), lines)
        for line, row in enumerate(grid):
            for column, axes in enumerate(row):
                place = (across[column], down[line])
                plane, stage = place if width == "page" else place[::-1]
                own, truth = by_place[plane, stage], by_place[plane, "true"]
                bits = examples.plane(str(own["file"]), height, wide)[GREEN]
                true = examples.plane(str(truth["file"]), height, wide)[GREEN]
                axes.imshow(
                    _marked(bits, true), cmap=ListedColormap(COLOURS), vmin=0, vmax=2,
                    interpolation="nearest",
                )  # fmt: skip
                words = "" if stage == "true" else f"{100 * own['share']:.1f} %"
                if line == 0:
                    heading = _words(across[column])
                    words = heading if width == "page" else f"{heading}\n{words}"
                axes.set_title(words, fontsize=HEADING_POINTS, pad=2, linespacing=1.1)
            label_row(row[0], _words(down[line]))
    return figure


def _words(place: int | str) -> str:
    return STAGE_WORDS[place] if isinstance(place, str) else f"plane {place}"


def _marked(bits: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """0 or 1, 2 where wrong."""
    return np.where(bits == truth, bits.astype(np.uint8), np.uint8(2))
