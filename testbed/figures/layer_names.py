"""What the layers of a codec are called, by its section of the scenario; no codec is loaded."""

from __future__ import annotations

from testbed.evaluation.run_folder import RunFolder

SHIPPED_PROFILES: dict[str, tuple[str, ...]] = {
    "paper": ("base", *(f"plane {plane}" for plane in range(8, 0, -1))),
    "embedded": (
        "base", "plane 5", "plane 4 low", "plane 4", "plane 3 low", "plane 3", "plane 2",
        "plane 1", "plane 0",
    ),
}  # fmt: skip
"""Of the semantic codec's profiles: the base layer, then bitplanes, the most significant first."""


def layer_names(run: RunFolder, codec: str, count: int) -> list[str]:
    """Of the first `count` layers; numbered from 1 if only the codec itself knows their names."""
    for section in run.scenario["codecs"]:
        named = section["name"] == codec and section["type"] == "semantic"
        if named and not section.get("fit"):
            names = SHIPPED_PROFILES.get(str(section.get("profile")), ())
            if len(names) >= count:
                return list(names[:count])
    return [f"layer {number}" for number in range(1, count + 1)]
