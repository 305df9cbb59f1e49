"""How to run a scenario again: its canonical form as YAML that `testbed run` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from testbed.evaluation.run_folder import RunFolder

PART_LISTS = ("channel", "packet_loss", "metrics")
"""Keys whose values are parts with parameters, which the canonical form has as labels."""
_PART = re.compile(r"(?P<name>\w+)(?:\((?P<inside>.*)\))?(?P<hash> [0-9a-f]{64})?")
_PARAMETER = re.compile(r"\s*(\w+)=((?:\[[^\]]*\]|\([^)]*\)|[^,()\[\]])*)")


def scenario_yaml(run: RunFolder) -> str:
    """Defaults filled in; what is not set is left out. Variations become named cases."""
    content = _part_names(_without_empty(run.scenario))
    if "vary" in content:
        content["vary"] = {"cases": _case_names(content["vary"])}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=False, width=100)


def needs_files(run: RunFolder) -> bool:
    """Whether the scenario names files of its author's: traces, pictures, plug-ins, weights.

    Labels of such parts bear a hash instead of the file's name.
    """
    return bool(run.scenario.get("plugins")) or bool(
        re.search(r"\b(trace|file|path)\b[^']{0,80} [0-9a-f]{64}", str(run.scenario))
    )


def _without_empty(value: Any) -> Any:
    """Without null and empty lists, which the language has no words for."""
    if isinstance(value, Mapping):
        inner = {str(key): _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not None and each != []}
    if isinstance(value, list):
        return [_without_empty(each) for each in value]
    return value


def _case_names(variants: Mapping[str, Any]) -> dict[str, Any]:
    """A grid's variants have names that no case may have: "codecs.layered.layers=2"."""
    slugs = [re.sub("[^a-z0-9_-]+", "_", name.lower()).strip("_")[:90] for name in variants]
    if len(set(slugs)) < len(slugs):
        slugs = [f"{slug}_{number}" for number, slug in enumerate(slugs, 1)]
    return dict(zip(slugs, variants.values(), strict=True))


def _part_names(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _part_names(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_part_names(each, key) for each in value]
    return _part(value) if key in PART_LISTS and isinstance(value, str) else value


def _part(label: str) -> Any:
    """ "rician(k_db=6)" becomes {type: rician, k_db: 6}; a hash of weights goes."""
    found = _PART.fullmatch(label)
    if not found:
        return label
    if found["inside"] is None:
        return found["name"] if found["hash"] else label
    try:
        values = {name: yaml.safe_load(text) for name, text in _PARAMETER.findall(found["inside"])}
    except yaml.YAMLError:
        # No label of the testbed's.
        return label
    return {"type": found["name"], **values}
