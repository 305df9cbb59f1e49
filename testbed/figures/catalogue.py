"""All figures of a run, in the order of a report. Each maker says what it draws, and draws nothing
where the run has nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.bitplane_views import draw_bitplane_views
from testbed.figures.comparison_curves import draw_comparison
from testbed.figures.curves import draw_curves
from testbed.figures.distribution import draw_distribution
from testbed.figures.drawing import Drawing, Width
from testbed.figures.heat_maps import draw_heat_maps
from testbed.figures.layer_gain import draw_layer_gain
from testbed.figures.layer_survival import draw_layer_survival
from testbed.figures.ledger import draw_ledger
from testbed.figures.loss_decay import draw_loss_decay
from testbed.figures.picture_grid import draw_picture_grids
from testbed.figures.protections import draw_protections
from testbed.figures.rate_distortion import draw_rate_distortion

Maker: TypeAlias = Callable[[RunFolder, Width], Iterator[Drawing]]

MAKERS: tuple[Maker, ...] = (
    draw_curves,
    draw_comparison,
    draw_loss_decay,
    draw_distribution,
    draw_heat_maps,
    draw_rate_distortion,
    draw_layer_survival,
    draw_layer_gain,
    draw_protections,
    draw_ledger,
    draw_bitplane_views,
    draw_picture_grids,
)


def draw_all(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """One at a time, so that each can be saved and closed before the next."""
    for maker in MAKERS:
        yield from maker(run, width)
