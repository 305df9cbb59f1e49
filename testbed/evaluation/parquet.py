"""Tables of a run as Parquet, beside the CSV: typed and compressed, for pandas, polars, DuckDB, R.

pyarrow is an extra: nothing else needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from testbed.errors import OutputError
from testbed.evaluation.trials_table import TEXT_COLUMNS, columns_of
from testbed.whole_file import whole_file

WHOLE_COLUMNS = frozenset((
    "height", "width", "repetition", "seed", "transmissions_allowed", "budget", "channel_uses",
    "payload_bits", "header_bits", "crc_bits", "parity_bits", "padding_bits", "erasure_bits",
    "retransmission_bits", "coded_bits", "symbols", "layers_sent", "layers_decoded", "packets_sent",
    "packets_lost", "packets_damaged", "transmissions", "trials", "images", "draws", "pairs",
))  # fmt: skip
DICTIONARY_COLUMNS = frozenset((*TEXT_COLUMNS, "reference", "size", "interval_over"))
BLOCK_BYTES = 1 << 20
"""Of the CSV that are read at a time. pyarrow reads up to 32 of them ahead."""
GROUP_ROWS = 1 << 16
"""In memory at a time; they make one row group."""


def check_parquet() -> None:
    """Raises OutputError unless there is pyarrow: before a run, not after it."""
    _pyarrow()


def write_parquet(csv_path: Path) -> Path:
    """A trials.csv, statistics.csv or differences.csv as .parquet beside it; its path.

    Texts are dictionaries, but for `trial_id`; counts int64; `failed` of a trial bool; all else
    float64, what is undefined being null. Raises OutputError, also without pyarrow.
    """
    pa, csv, parquet = _pyarrow()
    path = csv_path.with_suffix(".parquet")
    with whole_file(path) as partial:
        names = columns_of(csv_path)
        # In other tables `failed` is a share.
        flags = {"failed"} if "trial_id" in names else set()
        types: dict[str, Any] = {
            name: pa.string()
            if name == "trial_id"
            else pa.dictionary(pa.int32(), pa.string())
            if name in DICTIONARY_COLUMNS
            else pa.int64()
            if name in WHOLE_COLUMNS
            else pa.bool_()
            if name in flags
            else pa.float64()
            for name in names
        }
        blocks = csv.open_csv(
            csv_path,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            # Names of image files may have them.
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=["nan"], strings_can_be_null=False
            ),
        )
        with parquet.ParquetWriter(partial, blocks.schema, compression="zstd") as writer:
            for group in _groups(blocks):
                # Each block has dictionaries of its own.
                writer.write_table(pa.Table.from_batches(group).unify_dictionaries())
    return path


def _groups(blocks: Iterable[Any]) -> Iterator[list[Any]]:
    """Blocks together, of GROUP_ROWS rows and the rest of the last block."""
    group: list[Any] = []
    for block in blocks:
        group.append(block)
        if sum(each.num_rows for each in group) >= GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _pyarrow() -> tuple[Any, Any, Any]:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise OutputError(
            "--parquet: pyarrow is not installed: pip install -e .[parquet]"
        ) from None
    return pyarrow, pyarrow.csv, pyarrow.parquet
