"""The manifest of a run: everything that someone needs to know or to make it again."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from testbed.evaluation.labels import codec_labels, metric_labels, reference_codec
from testbed.running.monitor import RunFacts
from testbed.running.plan import Plan
from testbed.running.runner import Outcome
from testbed.running.sharding import WHOLE, Shard
from testbed.whole_file import whole_file

MANIFEST = "manifest.json"
PACKAGES = (
    "semcom-testbed", "torch", "numpy", "numba", "scipy", "sionna-no-rt", "pillow", "pandas",
    "matplotlib", "pydantic", "safetensors", "galois",
)  # fmt: skip


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def manifest(
    plan: Plan,
    outcome: Outcome | None,
    run: RunFacts,
    shard: Shard,
    *,
    certification: dict[str, Any] | None = None,
    damaged_lines: int = 0,
    other_lines: int = 0,
) -> dict[str, Any]:
    """What runs, or ran: scenario, code, versions, inputs, machine, times. JSON-able.

    outcome: None of a run that begins: what is not known yet is null. `certification` is the
    summary of certification.json; None of a shard. `reused_trials` were in the journal already,
    from an earlier run, perhaps of other code. `metrics` and `codec_labels` are what tables'
    columns and codecs are called in figures.
    """
    lower = {metric.column for metric in plan.metrics if not metric.higher_is_better}
    return {
        "scenario": plan.scenario.canonical(),
        "scenario_sha256": plan.scenario.scenario_hash,
        "trials": outcome.trials if outcome else len(plan.trials),
        "trials_without_rows": outcome.missing if outcome else None,
        "reused_trials": outcome.reused if outcome else None,
        "shard": None if shard == WHOLE else f"{shard.number}/{shard.count}",
        "certification": certification,
        "codecs": plan.fingerprints,
        "codec_labels": codec_labels(plan),
        "reference": reference_codec(plan),
        "metrics": {
            name: {"label": label, "higher_is_better": name not in lower}
            for name, label in metric_labels(plan).items()
        },
        "images": [
            {"name": image.name, "sha256": image.sha256, "shape": list(image.pixels.shape)}
            for image in plan.images
        ],
        "code": git_state(),
        "versions": {"python": platform.python_version()} | package_versions(),
        "machine": platform.machine(),
        "executor": run.executor,
        "workers": run.workers,
        "threads_per_worker": 1,
        "command": run.command,
        "started_utc": run.started_utc,
        "finished_utc": utc_now() if outcome else None,
        "damaged_journal_lines": damaged_lines,
        "journal_lines_of_other_versions": other_lines,
    }


def package_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def git_state() -> dict[str, Any]:
    """Commit and whether files differ from it; nulls outside a repository."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ("git", *arguments), cwd=folder, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def write_manifest(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / MANIFEST
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
    return path
