"""Sentences on how a sender protects layers, for a methods section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from testbed.language.adaptation import Adaptation
from testbed.language.protection import DEFAULT_MCS
from testbed.reporting.paper.methods_link import mcs_words
from testbed.reporting.paper.scenario_facts import Canonical, union
from testbed.reporting.paper.wording import counted, listed


def protection_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """Policy by policy; none of the one that does nothing. grids: of bits."""
    schemes = ""
    policies = union(grids, "protection")
    if [each["policy"] for each in policies] == ["equal"]:
        return
    for each in policies:
        made = _POLICIES.get(each["policy"])
        if made is None:
            yield f"The protection `{each['name']}` is that of a plug-in"
            continue
        words = _policy_words(each, [grid for grid in grids if each in grid["protection"]])
        # What is as in the one before is not said in full again.
        if "{mcs}" in made:
            words["mcs"], schemes = (
                "the same schemes" if words["mcs"] == schemes else words["mcs"],
                words["mcs"],
            )
        yield made.format(name=each["name"], **words)
    if any("{objective}" in _POLICIES.get(each["policy"], "") for each in policies):
        yield (
            "Such choices are made for each picture by itself, from block error tables and the "
            "PSNR that its layers bring"
        )


_PLAN = " from {mcs}{more}, for the greatest {objective}"
_POLICIES = {
    "equal": "The protection `{name}` sends all layers as the link says",
    "table": "The protection `{name}` is fixed for each layer: it sends {layers}",
    "best_equal": "The protection `{name}` chooses one scheme for all layers" + _PLAN,
    "optimised": "The protection `{name}` chooses a scheme for each layer" + _PLAN,
    "oracle": "The protection `{name}` knows the fades beforehand and chooses a scheme for each "
    "layer" + _PLAN,
    "adaptive": "The protection `{name}` takes one scheme per picture from {mcs}, by an estimate "
    "of the SNR {delay} with an error of {error:g} dB standard deviation, for a packet error rate "
    "of {target:g}{loop}",
}


def _policy_words(policy: Canonical, grids: Sequence[Canonical]) -> dict[str, Any]:
    def given(key: str, default: Any) -> Any:
        return default if policy.get(key) is None else policy[key]

    fields = Adaptation()
    more = ""
    if policy.get("transmissions"):
        limits = listed((str(each) for each in policy["transmissions"]), "or")
        more += f", with {limits} transmissions"
    if policy.get("erasure_rate"):
        more += f", at erasure rates {listed((str(e) for e in policy['erasure_rate']), 'or')}"
    objective = policy.get("objective")
    delay = given("estimate_delay_packets", fields.estimate_delay_packets)
    loop = given("outer_loop", fields.outer_loop)
    return {
        "mcs": mcs_words(policy.get("mcs") or DEFAULT_MCS, union(grids, "mcs_table")),
        "more": more,
        "objective": "mean PSNR"
        if not objective
        else f"{objective['quantile']:g} quantile of the PSNR",
        "layers": _table_words(policy.get("layers") or []),
        "delay": f"{counted(delay, 'packet')} before the picture's first"
        if delay
        else "at the picture's first packet",
        "error": given("estimate_error_db", fields.estimate_error_db),
        "target": given("target_error_rate", fields.target_error_rate),
        "loop": ", which an outer loop holds [@sampath1997]" if loop else "",
    }


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


def _table_words(layers: Sequence[Canonical]) -> str:
    """Layer by layer; the last entry of a table is that of all further layers, too."""
    last = len(layers) - 1
    return "; ".join(
        f"{_layer_name(number, last)} {_layer_words(each)}" for number, each in enumerate(layers)
    )


def _layer_name(number: int, last: int) -> str:
    if number == last:
        return "all layers" if last == 0 else "all others"
    return f"the {_ORDINALS[number]} layer" if number < len(_ORDINALS) else f"layer {number + 1}"


def _layer_words(layer: Canonical) -> str:
    made: dict[str, Callable[[Any], str]] = {
        "modulation": lambda value: str(value).upper(),
        "code_rate": "code rate {}".format,
        "mcs": "MCS {}".format,
        "transmissions": lambda value: f"up to {counted(value, 'transmission')}",
        "erasure_rate": "erasure rate {}".format,
        "power_db": "{:+g} dB of power".format,
    }
    words = [
        words(layer[key])
        for key, words in made.items()
        if layer.get(key) is not None and (key, layer[key]) != ("power_db", 0)
    ]
    return f"with {listed(words)}" if words else "as the link says"
