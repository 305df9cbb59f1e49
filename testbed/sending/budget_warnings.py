"""What cannot be sent within a scenario's budgets, found before anything is simulated."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from testbed.images import SourceImage
from testbed.language.codec_sections import CodecSection, ConventionalSection
from testbed.registry import make_codec
from testbed.running.plan import Cell, Plan
from testbed.running.trials import LinkPoint, budget_channel_uses
from testbed.sending.packets import capacity_bytes
from testbed.sending.transmission import layer_links

IMAGES_TRIED = 3
"""Of each size: that no file fits hangs on the format's headers more than on the picture."""


@dataclass(slots=True)
class _Packets:
    """Links of one bandwidth ratio and size of picture, and those that bear not even a packet."""

    links: set[LinkPoint] = field(default_factory=set)
    too_small: dict[LinkPoint, None] = field(default_factory=dict)


def budget_warnings(plan: Plan) -> list[str]:
    """A line for each bandwidth ratio and size of picture at which no packet fits over some link,
    and for each conventional codec and size of which no file fits some budget.

    Files are found out by coding the first `IMAGES_TRIED` pictures of the size.
    """
    packets: dict[tuple[tuple[int, int], Fraction], _Packets] = defaultdict(_Packets)
    files: dict[tuple[CodecSection, tuple[int, int]], dict[int, Fraction]] = defaultdict(dict)
    first: dict[CodecSection, str] = {}
    images: dict[tuple[int, int], dict[int, None]] = defaultdict(dict)
    for cell in plan.cells:
        section, point = cell.variant.scenario.codecs[cell.point.codec_index], cell.point.link
        first.setdefault(section, cell.variant.case)
        images[cell.size] |= dict.fromkeys(cell.images)
        if section.analog:
            continue
        most = _most_bytes(cell)
        found = packets[cell.size, point.cbr]
        found.links.add(point)
        if not most:
            found.too_small[point] = None
        elif isinstance(section, ConventionalSection):
            files[section, cell.size][most] = point.cbr
    lines = [line for (size, cbr), each in packets.items() for line in _no_packet(size, cbr, each)]
    for (section, size), budgets in files.items():
        tried = [plan.images[index] for index in list(images[size])[:IMAGES_TRIED]]
        where = f" (variant {first[section]})" if first[section] else ""
        lines += [line + where for line in _no_file(section, size, budgets, tried)]
    return lines


def _most_bytes(cell: Cell) -> int:
    """The longest stream that the budget can bear; of a policy that chooses, at its best choice."""
    point = cell.point.link
    uses = budget_channel_uses(point.cbr, *cell.size)
    links = layer_links(point)
    options = links if point.chooses else links[:1]
    max_bytes = cell.variant.scenario.packets.max_bytes
    return max(capacity_bytes(max_bytes, uses, link) for link in options)


def _no_packet(size: tuple[int, int], cbr: Fraction, found: _Packets) -> Iterator[str]:
    if found.too_small:
        point = next(iter(found.too_small))
        uses = budget_channel_uses(cbr, *size)
        yield (
            f"not even one packet fits {_budget(size, cbr)} ({uses} channel uses) over "
            f"{len(found.too_small)} of {len(found.links)} links, such as {point.modulation} with "
            f"{point.coding} of rate {point.code_rate:.3g}: mid-grey will be shown"
        )


def _no_file(
    section: CodecSection,
    size: tuple[int, int],
    budgets: dict[int, Fraction],
    images: Sequence[SourceImage],
) -> Iterator[str]:
    """budgets: bandwidth ratios by the bytes that they bear."""
    codec, ascending = make_codec(section), sorted(budgets)

    def fits(image: SourceImage, most: int) -> bool:
        return codec.encode_batch([image.pixels], most)[0] is not None

    def count_too_small(image: SourceImage) -> int:
        if fits(image, ascending[0]):
            return 0
        return bisect_right(ascending, 0, key=lambda most: int(fits(image, most)))

    too_small, image = max(
        ((count_too_small(image), image) for image in images), key=lambda found: found[0]
    )
    if too_small:
        most = ascending[too_small - 1]
        less = " or less" if too_small > 1 else ""
        yield (
            f"no {section.name} file of image {image.name} fits {_budget(size, budgets[most])} "
            f"({most} bytes{less}): mid-grey will be shown"
        )


def _budget(size: tuple[int, int], cbr: Fraction) -> str:
    return f"{cbr} of {size[1]}x{size[0]}"
