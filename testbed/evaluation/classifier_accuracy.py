"""How often the classifier behind the metric `task` is right on pictures as they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from codec.classifier import CLASSES, class_of, load_classifier
from testbed.images import ImageSourceError, SourceImage, load_images


def print_accuracy(source: str, limit: int | None) -> None:
    """Of each class and of all. Raises ImageSourceError for pictures without labels."""
    images = load_images(source, Path(), limit)
    table = Table(title=f"{source}, weights {load_classifier()[1][:16]}")
    for heading in ("class", "pictures", "recognised"):
        table.add_column(heading, justify="right")
    for name, shares in accuracies(images).items():
        table.add_row(name, str(shares[1]), f"{100 * shares[0] / shares[1]:.2f} %")
    Console().print(table)


def accuracies(images: Iterable[SourceImage]) -> dict[str, tuple[int, int]]:
    """(recognised, pictures) of each class that occurs, and of "all". Raises ImageSourceError."""
    right, total = [0] * len(CLASSES), [0] * len(CLASSES)
    for image in images:
        if image.label is None:
            raise ImageSourceError(
                f"{image.name}: expected a picture with a label, as cifar10_test has them"
            )
        total[image.label] += 1
        right[image.label] += class_of(image.pixels) == image.label
    found = {
        name: (right[index], total[index]) for index, name in enumerate(CLASSES) if total[index]
    }
    return found | {"all": (sum(right), sum(total))}
