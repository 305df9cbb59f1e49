"""Received pictures: chosen trials simulated once more, which gives the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.evaluation.metrics import psnr_db, ssim
from testbed.evaluation.trials_table import SETTING_COLUMNS
from testbed.examples.choice import shown_variant
from testbed.examples.png import write_png
from testbed.images import SourceImage
from testbed.running.plan import Plan
from testbed.running.runner import work_of
from testbed.running.trials import Trial
from testbed.running.work import Outcome, Row
from testbed.sending.simulation import simulate


def write_received(plan: Plan, trials: Sequence[Trial], folder: Path) -> list[Row]:
    """Writes the pictures of one codec's trials as PNG: rows of PICTURE_COLUMNS.

    trials: of one picture. Raises OutputError.
    """
    variant = shown_variant(plan)
    shown: dict[bytes, Row] = {}
    rows = []
    for outcome in simulate(work_of(plan, variant, trials)):
        source = plan.images[outcome.trial.image_index]
        content = outcome.picture.tobytes()
        if content not in shown:
            file = f"{outcome.trial.codec_name}_{len(shown) + 1}.png"
            write_png(folder / file, outcome.picture)
            shown[content] = {
                "file": file,
                "psnr_db": psnr_db(source.pixels, outcome.picture),
                "ssim": ssim(source.pixels, outcome.picture),
            }
        rows.append(_row(outcome, source, variant.case) | shown[content])
    return rows


def _row(outcome: Outcome, source: SourceImage, case: str) -> Row:
    trial = outcome.trial
    setting = {"case": case} | trial.link.columns
    return {
        "codec": trial.codec_name,
        "image": source.name,
        "repetition": trial.repetition,
        "trial_id": trial.trial_id,
        **{name: setting[name] for name in SETTING_COLUMNS},
        "failed": outcome.failed,
        "layers_decoded": outcome.layers_decoded,
    }
