"""Received pictures of a run's examples, ordered for figures: by channel and codec.

Each codec has a sweep over a channel: of SNRs, or else of bandwidths or packet losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import LINK_COLUMNS
from testbed.examples.reading import Examples, read_examples
from testbed.figures.axes import SNR, SWEEPS, Sweep
from testbed.figures.captions import header_sentences, plain, sentence
from testbed.figures.stems import stem_part
from testbed.language.setting_words import part_words, setting_words
from testbed.spreading import spread


@dataclass(frozen=True)
class CodecRow:
    """What a codec's receiver shows along its sweep, in rising order.

    rows: of pictures.csv. sweep: which of its columns is swept.
    """

    codec: str
    label: str
    sweep: Sweep
    rows: pd.DataFrame

    def shown(self, most: int) -> list[dict[str, Any]]:
        """At most so many of the rows, by column, spread evenly."""
        rows = [dict(row) for _, row in self.rows.iterrows()]
        return spread(rows, most)

    @property
    def fixed_words(self) -> str:
        """Of the link, but for the channel and what is swept."""
        first = self.rows.iloc[0]
        setting = {name: first[name] for name in LINK_COLUMNS if name != self.sweep.column}
        words = setting_words(setting, (), {str(first["protection"])})
        return plain(words).removeprefix(part_words(str(first["channel"]))).removeprefix(", ")


@dataclass(frozen=True)
class ChannelPictures:
    """All that was kept of one channel. stem: for files' names."""

    run: RunFolder
    examples: Examples
    channel: str
    stem: str
    codecs: tuple[CodecRow, ...]

    @property
    def words(self) -> str:
        """The channel's."""
        return part_words(self.channel)

    @property
    def original(self) -> NDArray[np.uint8]:
        return self.examples.original

    @property
    def caption(self) -> str:
        """Which picture, draw, channel and settings: sentences."""
        rows = self.codecs[0].rows
        draws = int(self.run.scenario["repetitions"])
        height, width = self.original.shape[:2]
        draw = "its only channel draw" if draws == 1 else f"channel draw 1 of {draws}"
        sentences = [
            f"The picture {rows['image'].iloc[0]} ({width}x{height} pixels) over {self.words}, "
            f"{draw}, the same for every codec and setting.",
            *self._settings(),
            *header_sentences(self.run, {row.codec for row in self.codecs}),
        ]
        if rows["case"].iloc[0]:
            sentences.append(f"Of several variations: {rows['case'].iloc[0]}.")
        if any(row.rows["failed"].any() for row in self.codecs):
            sentences.append("Where nothing could be decoded, mid-grey stands in.")
        return " ".join(sentences)

    def _settings(self) -> Iterator[str]:
        by_words: dict[str, list[str]] = {}
        for row in self.codecs:
            by_words.setdefault(row.fixed_words, []).append(row.label)
        for words, labels in by_words.items():
            if words:
                yield sentence(words) if len(by_words) == 1 else f"{', '.join(labels)}: {words}."


def channel_pictures(run: RunFolder) -> Iterator[ChannelPictures]:
    """By channel, in the scenario's order; nothing if the run has kept no pictures.

    Raises ExamplesError for files that cannot be used.
    """
    examples = read_examples(run.path)
    table = examples.pictures
    stems: set[str] = set()
    for channel, own in table.groupby("channel", sort=False):
        rows = tuple(
            CodecRow(name, label, sweep, ordered)
            for name, label in run.labels.items()
            for sweep, ordered in _sweeps(own[own["codec"] == name])
        )
        if rows:
            stem = stem_part(str(channel), stems)
            stems.add(stem)
            yield ChannelPictures(run, examples, str(channel), stem, rows)


def place_words(row: dict[str, Any], sweep: Sweep) -> str:
    """What is swept, at one of its values: for the heading of a picture."""
    words = sweep.value_words(sweep.scale * float(row[sweep.column]))
    return f"$E_s/N_0$ {words}" if sweep is SNR else words


def quality_words(row: dict[str, Any]) -> str:
    """How good a received picture is."""
    if row["failed"]:
        return "failed"
    return "exact" if np.isinf(row["psnr_db"]) else f"PSNR {row['psnr_db']:.1f} dB"


def _sweeps(rows: pd.DataFrame) -> Iterator[tuple[Sweep, pd.DataFrame]]:
    if not rows.empty:
        sweep = next((each for each in SWEEPS if rows[each.column].nunique() > 1), SNR)
        yield sweep, rows.sort_values(sweep.column, kind="stable")
