"""All targets by name. What they need is imported when they are prepared, in their own process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from testbed.fuzz.target import Cases, Target


@dataclass(frozen=True, slots=True)
class _Prepared:
    """`testbed.fuzz.<module>.<function>`, not imported before it is called."""

    module: str
    function: str

    def __call__(self, folder: Path) -> Cases:
        cases: Cases = getattr(import_module(f"testbed.fuzz.{self.module}"), self.function)(folder)
        return cases


def _conventional(name: str, folder: Path) -> Cases:
    from testbed.fuzz.conventional import prepare

    return prepare(name)(folder)


_FORMATS = ("jpeg", "jpeg2000", "webp", "avif", "png", "heif", "jpegxl")

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("scenarios", "valid scenarios", _Prepared("scenarios", "prepare_scenarios")),
        Target("broken", "scenarios with mistakes", _Prepared("scenarios", "prepare_broken")),
        Target("overrides", "values of --set", _Prepared("scenarios", "prepare_overrides")),
        Target("yaml", "YAML, or what looks like it", _Prepared("scenarios", "prepare_yaml")),
        Target("paper", "streams of the paper's scheme", _Prepared("layered", "prepare_paper"), 50),
        Target(
            "embedded", "streams of the profile embedded, slices too",
            _Prepared("layered", "prepare_embedded"), 50,
        ),
        *(
            Target(name, f"{name} streams by all header and damage policies, and their parsers",
                   partial(_conventional, name), 20)
            for name in _FORMATS
        ),
        Target("symbols", "symbols of deepjscc", _Prepared("weights", "prepare_symbols"), 10),
        Target("cabac", "the arithmetic coder of H.266", _Prepared("engines", "prepare_cabac"), 20),
        Target("bins", "the embedded profile's coder", _Prepared("engines", "prepare_bins"), 20),
        Target("packets", "packets to layers", _Prepared("packets", "prepare_packets"), 10),
        Target("losses", "pictures from any packets", _Prepared("packets", "prepare_losses"), 5),
        Target("container", "coded files", _Prepared("readers", "prepare_container"), 10),
        Target("pictures", "image files", _Prepared("readers", "prepare_pictures"), 10),
        Target("cifar10", "CIFAR-10's Python layout", _Prepared("readers", "prepare_cifar10"), 20),
        Target("trace", "traces of losses", _Prepared("readers", "prepare_trace"), 20),
        Target("journal", "the journal of a run", _Prepared("readers", "prepare_journal"), 10),
        Target("tables", "measurements that are kept", _Prepared("readers", "prepare_tables"), 10),
        Target("streams", "the cache of streams", _Prepared("readers", "prepare_streams"), 10),
        Target("curves", "figure2.csv and table1.csv", _Prepared("readers", "prepare_curves"), 10),
        Target("weights", "the layered codec's weights", _Prepared("weights", "prepare_weights")),
        Target("networks", "weights of other networks", _Prepared("weights", "prepare_networks")),
    )
}  # fmt: skip
