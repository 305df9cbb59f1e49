"""Ways in which bytes go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from testbed.fuzz.target import Random, probably, whole

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(data: bytes, random: Random, others: Sequence[bytes] = (b"",)) -> bytes:
    """`data` after one to four accidents; `others` are what it may be mixed up with."""
    for _ in range(whole(random, 1, 4) if probably(random, 0.5) else 1):
        accident = _ACCIDENTS[whole(random, 0, len(_ACCIDENTS) - 1)]
        data = accident(data, random, others[whole(random, 0, len(others) - 1)])
    return data


def _span(data: bytes, random: Random) -> tuple[int, int]:
    """A piece of the data, mostly a short one."""
    start = whole(random, 0, len(data))
    longest = len(data) - start
    if probably(random, 0.7):
        longest = min(longest, 16)
    return start, start + whole(random, 0, longest)


def _flip(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    out = bytearray(data)
    if out:
        for _ in range(whole(random, 1, 8)):
            out[whole(random, 0, len(out) - 1)] ^= 1 << whole(random, 0, 7)
    return bytes(out)


def _overwrite(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    start, end = _span(data, random)
    return data[:start] + random.bytes(end - start) + data[end:]


def _cut(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    return data[: whole(random, 0, len(data))]


def _delete(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _double(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    start, end = _span(data, random)
    return data[:end] + data[start:end] * whole(random, 1, 3) + data[end:]


def _insert(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    start, _ = _span(data, random)
    return data[:start] + random.bytes(whole(random, 1, 16)) + data[start:]


def _splice(data: bytes, random: Random, other: bytes) -> bytes:
    return data[: whole(random, 0, len(data))] + other[whole(random, 0, len(other)) :]


def _extreme(data: bytes, random: Random, other: bytes) -> bytes:
    """Where a length might stand, the least or the most that it could say."""
    del other
    width = (1, 2, 4)[whole(random, 0, 2)]
    number = _EXTREMES[whole(random, 0, len(_EXTREMES) - 1)] & ((1 << 8 * width) - 1)
    start = whole(random, 0, max(len(data) - width, 0))
    # Mostly near the head, where lengths are.
    if probably(random, 0.5):
        start = min(start, whole(random, 0, 40))
    order = "big" if probably(random, 0.7) else "little"
    return data[:start] + number.to_bytes(width, order) + data[start + width :]  # type: ignore[arg-type]


def _flat_end(data: bytes, random: Random, other: bytes) -> bytes:
    del other
    start = whole(random, 0, len(data))
    return data[:start] + bytes([whole(random, 0, 1) * 255]) * (len(data) - start)


_ACCIDENTS: tuple[Callable[[bytes, Random, bytes], bytes], ...] = (
    _flip, _overwrite, _cut, _delete, _double, _insert, _splice, _extreme, _flat_end,
)  # fmt: skip
