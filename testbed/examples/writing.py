"""The folder of examples, written at the end of a run."""

from __future__ import annotations

import csv
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from pathlib import Path

from codec.semantic_codec import SemanticCodec
from testbed.errors import OutputError, TestbedError, error_words
from testbed.examples.choice import shown_image, shown_trials, shown_variant
from testbed.examples.files import (
    EXAMPLES,
    LAYER_COLUMNS,
    LAYERS_CSV,
    ORIGINAL_PNG,
    PICTURE_COLUMNS,
    PICTURES_CSV,
    PLANE_COLUMNS,
    PLANES_CSV,
    TABLES,
)
from testbed.examples.layers import layer_rows
from testbed.examples.pictures import write_received
from testbed.examples.planes import write_planes
from testbed.examples.png import write_png
from testbed.registry import make_codec
from testbed.running.plan import Plan
from testbed.running.work import Row
from testbed.whole_file import whole_file

Note = Callable[[str], None]


def write_examples(
    plan: Plan, known: Container[str], folder: Path, note: Note = lambda _: None
) -> list[Path]:
    """Writes examples/ in a result folder: the tables of files.py and their pictures; the tables.

    Nothing with the scenario's `figures: {examples: false}`. What was there goes. A table without
    rows is not written.

    known: ids of the trials that have a row; no others are simulated again, since they may be those
    that raise an error or end their process. note: is told of a codec that has no examples because
    it raised an error. Raises OutputError.
    """
    examples = folder / EXAMPLES
    _cleared(examples)
    if not plan.scenario.figures.examples:
        return []
    try:
        examples.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{examples}: cannot be made ({error.strerror or error})") from error
    image = shown_image(plan)
    trials = {} if image is None else shown_trials(plan, known, image)
    pictures: list[Row] = []
    layers: list[Row] = []
    planes: list[Row] = []
    for number, section in enumerate(shown_variant(plan).scenario.codecs):
        try:
            if number in trials:
                pictures += write_received(plan, trials[number], examples)
            layers += layer_rows(plan, known, number)
            codec = None if section.analog else make_codec(section)
            if image is not None and number in trials and isinstance(codec, SemanticCodec):
                planes += write_planes(codec, section.name, plan.images[image], examples)
        except OutputError:
            raise
        except Exception as error:
            # A codec may fail at what no trial asked of it. The run's results are whole.
            words = str(error) if isinstance(error, TestbedError) else error_words(error)
            note(f"examples of {section.name} are not whole: {words}")
    if image is not None and pictures:
        write_png(examples / ORIGINAL_PNG, plan.images[image].pixels)
    written = [
        _write(examples / PICTURES_CSV, PICTURE_COLUMNS, pictures),
        _write(examples / LAYERS_CSV, LAYER_COLUMNS, layers),
        _write(examples / PLANES_CSV, PLANE_COLUMNS, planes),
    ]
    return [path for path in written if path.is_file()]


def _cleared(examples: Path) -> None:
    """Examples of an earlier run into this folder would be taken for this one's."""
    with suppress(OSError):
        for path in (*(examples / table for table in TABLES), *examples.glob("*.png")):
            path.unlink(missing_ok=True)
        examples.rmdir()


def _write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> Path:
    if rows:
        with whole_file(path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return path
