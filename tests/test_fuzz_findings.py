"""What fuzzing has found, each as the shortest test that failed before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from channels import block_errors
from channels.block_errors import BlockErrorTable, TableKey
from codec.analog import ReceivedSymbols
from codec.base import CodecError
from codec.conventional.jpeg import Jpeg
from codec.deepjscc_codec import DeepJsccCodec
from codec.profile import WEIGHTS_FOLDER, load_profile
from testbed.errors import OutputError, ScenarioError
from testbed.language.yaml_source import parse_document
from testbed.studies.claims_markdown import write_claims
from testbed.studies.ldpc_quality import known_points
from testbed.studies.rate_curve import read_curves


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        ("embedded", "predictor.blocks.heads.0.out.weight"),
        ("embedded", "predictor.blocks.trunk.bias.table"),
        ("paper", "enhancement8.head.weight"),
        ("paper", "plane8.p1"),
    ],
)
def test_weights_that_are_no_integers_are_refused(profile: str, key: str, tmp_path: Path) -> None:
    """Values that are no number passed every bound and became an index into a table: a crash."""
    tensors = load((WEIGHTS_FOLDER / f"{profile}.safetensors").read_bytes())
    tensors[key] = torch.full(tensors[key].shape, float("nan"))
    path = tmp_path / "wild.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(CodecError, match="expected integers of at most 32 bits"):
        load_profile(str(path))


def test_a_level_s_bias_at_the_end_of_its_type_is_refused(tmp_path: Path) -> None:
    """The magnitude of -32768 is negative in 16 bits."""
    tensors = load((WEIGHTS_FOLDER / "embedded.safetensors").read_bytes())
    key = next(each for each in tensors if each.endswith("table"))
    tensors[key] = torch.full_like(tensors[key], -(1 << 15))
    path = tmp_path / "wild.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(CodecError, match="out of range"):
        load_profile(str(path))


def test_a_latent_model_of_fewer_channels_is_refused(tmp_path: Path) -> None:
    tensors = load((WEIGHTS_FOLDER / "paper.safetensors").read_bytes())
    channels = len(tensors["latent.first"]) - 1
    places = tensors["latent.first"].shape[1] // (channels + 2)
    for key in [each for each in tensors if each.startswith("latent.") and each != "latent.p1"]:
        tensors[key] = tensors[key][:channels].contiguous()
    tensors["latent.first"] = tensors["latent.first"][:, : (channels + 1) * places].contiguous()
    path = tmp_path / "narrow.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(CodecError, match="latent model: expected"):
        load_profile(str(path))


def test_symbols_that_no_receiver_can_have_count_as_lost() -> None:
    codec = DeepJsccCodec()
    picture = np.full((8, 8, 3), 90, np.uint8)
    (symbols,) = codec.encode_symbols([picture], 64, 10.0)
    assert symbols is not None
    noise = np.full(len(symbols), 0.1)
    hit = np.arange(len(symbols)) % 5 == 0
    (lost,) = codec.decode_symbols(
        [ReceivedSymbols(np.where(hit, 0, symbols), np.where(hit, np.inf, noise), 8, 8)]
    )
    for value, power in ((np.nan, 0.1), (np.inf, 0.1), (1e300, 0.1), (0.5, np.nan), (0.5, -1.0)):
        wild = ReceivedSymbols(np.where(hit, value, symbols), np.where(hit, power, noise), 8, 8)
        (found,) = codec.decode_symbols([wild])
        assert np.array_equal(found, lost)


def test_the_parts_of_a_jpeg_that_ends_in_a_header_do_not_overlap() -> None:
    file = Jpeg().encode(np.zeros((8, 8, 3), np.uint8), 50)
    scan = file.index(b"\xff\xda")
    with pytest.raises(CodecError, match="scan"):
        Jpeg().split(file[: scan + 2] + b"\x00\x0c\xff\xd9")


def test_tables_of_any_values_are_measured_anew(tmp_path: Path) -> None:
    key = TableKey("qpsk", 0.5, 64, words=100)
    table = BlockErrorTable(key, np.array([-2.0, 0.0]), np.array([100, 100]), np.array([99, 0]))
    path = tmp_path / "table.json"
    content = block_errors._content(table)
    for name in ("snr_db", "words", "errors"):
        for value in ([], 3, [10**400], [float("inf")]):
            wild = content | {name: value}
            path.write_text(json.dumps(wild | {"sha256": block_errors._digest(wild)}))
            assert block_errors._read(path, key) is None
    path.write_text("[" * 100_000)
    assert block_errors._read(path, key) is None


def test_lines_that_are_no_points_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    good = b'[["key"], 1.5, [0, 2], [1]]'
    bad = [b"5", b"\xff\xfe", b'[["key"], [], [], []]', b'[["key"], 2, [null], [1]]', b"[" * 9999]
    path.write_bytes(b"\n".join([*bad, good, b'[["other"], 2.5, [], []]']))
    points = known_points(path, ["key"], 50)
    assert {snr: (each.wrong, each.reference_wrong) for snr, each in points.items()} == {
        1.5: ((0, 2), (1,))
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("table1.csv", b",41.2,", b",x,"),
        ("figure2.csv", b"25.331", b"x"),
        ("figure2.csv", b",images", b",other"),
    ],
)
def test_curves_with_words_for_numbers_are_one_line(
    name: str, old: bytes, new: bytes, tmp_path: Path
) -> None:
    reference = Path(__file__).parents[1] / "results" / "reference"
    for each in ("figure2.csv", "table1.csv"):
        (tmp_path / each).write_bytes((reference / each).read_bytes())
    content = (tmp_path / name).read_bytes()
    assert old in content
    (tmp_path / name).write_bytes(content.replace(old, new, 1))
    with pytest.raises(OutputError) as error:
        write_claims(tmp_path, "note")
    assert len(str(error.value).splitlines()) == 1


def test_the_wrong_byte_behind_a_byte_order_mark_is_the_one_that_is_named() -> None:
    with pytest.raises(ScenarioError, match="0xff") as error:
        parse_document(b"\xef\xbb\xbfa: 1\nb\xff: 2\n", "f.yaml")
    assert (error.value.line, error.value.column) == (2, 2)


def test_curves_at_no_rate_are_refused(tmp_path: Path) -> None:
    """Their ratio to another's rate would be none."""
    path = tmp_path / "figure2.csv"
    text = (Path(__file__).parent.parent / "results" / "reference" / "figure2.csv").read_text()
    path.write_text(text)
    table = read_curves(path)
    assert len(table) > 100
    table.assign(bpp=table["bpp"].where(table.index != 3, 0.0)).to_csv(path, index=False)
    with pytest.raises(ValueError, match="bpp: expected rates above 0"):
        read_curves(path)
