"""Reads a batch of CIFAR-10's Python layout, without unpickling it.

The files are pickles of protocol 2, as Python 2 wrote them: a dictionary with `data`, a numpy array
uint8 (n, 3072), and the lists `labels` and `filenames`. A pickle is a program, and Python's
unpickler would run whatever it names. Here the few instructions that build such a dictionary are
carried out on plain values: nothing is imported or called. A name other than the three with which
numpy says "an array" and "its type" is refused, as is every instruction that such a file has no use
for. Source of the instructions: the documentation in Python's pickletools.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANES_BYTES = 3 * 32 * 32
CLASSES = 10


class BatchError(ValueError):
    """Not a batch of CIFAR-10: what was expected and found, in one line."""


def read_batch(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(labels (n,), colour planes (n, 3072)) of a pickled batch. Raises BatchError."""
    content = _Builder(data).result()
    if not isinstance(content, dict):
        raise BatchError("expected a pickled dictionary, found something else")
    planes = content.get(b"data")
    if not isinstance(planes, _Array) or planes.values is None:
        raise BatchError("expected an array of bytes under 'data', found none")
    if planes.values.ndim != 2 or planes.values.shape[1] != PLANES_BYTES:
        raise BatchError(f"expected 'data' of (n, {PLANES_BYTES}), found {planes.values.shape}")
    labels = _list_of(content, "labels", len(planes.values))
    _list_of(content, "filenames", len(planes.values))
    if not all(isinstance(label, int) and 0 <= label < CLASSES for label in labels):
        raise BatchError(f"expected labels from 0 to {CLASSES - 1}, found others")
    return np.array(labels, np.uint8), planes.values


def _list_of(content: dict[bytes, Any], key: str, size: int) -> list[Any]:
    found = content.get(key.encode())
    if not isinstance(found, list) or len(found) != size:
        raise BatchError(f"expected a list of {size} under {key!r}")
    return found


@dataclass(frozen=True)
class _Name:
    """Something of numpy's that the pickle names."""

    text: str


_RECONSTRUCT = _Name("numpy.core.multiarray _reconstruct")
_NDARRAY = _Name("numpy ndarray")
_DTYPE = _Name("numpy dtype")
_NAMES = {name.text: name for name in (_RECONSTRUCT, _NDARRAY, _DTYPE)}


@dataclass
class _ByteType:
    """numpy's type of an unsigned byte."""


@dataclass
class _Array:
    values: NDArray[np.uint8] | None = None


_MARK = object()
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_INSTRUCTIONS = {
    b"(": ("MARK", ""),
    b".": ("STOP", ""),
    b"J": ("BININT", "<i"),
    b"K": ("BININT1", "<B"),
    b"M": ("BININT2", "<H"),
    b"N": ("NONE", ""),
    b"R": ("REDUCE", ""),
    b"T": ("BINSTRING", "<i"),
    b"U": ("SHORT_BINSTRING", "<B"),
    b"]": ("EMPTY_LIST", ""),
    b"a": ("APPEND", ""),
    b"b": ("BUILD", ""),
    b"c": ("GLOBAL", ""),
    b"e": ("APPENDS", ""),
    b"h": ("BINGET", "<B"),
    b"j": ("LONG_BINGET", "<I"),
    b"q": ("BINPUT", "<B"),
    b"r": ("LONG_BINPUT", "<I"),
    b"s": ("SETITEM", ""),
    b"t": ("TUPLE", ""),
    b"u": ("SETITEMS", ""),
    b"}": ("EMPTY_DICT", ""),
    b"\x80": ("PROTO", "<B"),
    b"\x85": ("TUPLE1", ""),
    b"\x86": ("TUPLE2", ""),
    b"\x87": ("TUPLE3", ""),
    b"\x88": ("NEWTRUE", ""),
    b"\x89": ("NEWFALSE", ""),
}
"""Name and number after it, by code; a text follows its length, two lines follow GLOBAL."""


class _Builder:
    """Carries out the instructions, on a stack as the unpickler's."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        try:
            while True:
                name, number = self._next()
                if name == "STOP":
                    return self._stack.pop()
                self._carry_out(name, number)
        except BatchError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error) as error:
            # The end within an instruction, and what does not fit the stack or the array.
            words = " ".join(str(error).split())
            raise BatchError(f"expected a pickled batch of pictures, found damage ({words})") from (
                error
            )

    def _next(self) -> tuple[str, int]:
        code = self._data[self._position : self._position + 1]
        if code not in _INSTRUCTIONS:
            found = f"the instruction {ascii(code)[1:]}" if code else "no end"
            raise BatchError(f"expected a pickle of plain values, found {found}")
        name, form = _INSTRUCTIONS[code]
        numbers = struct.unpack_from(form, self._data, self._position + 1)
        self._position += 1 + struct.calcsize(form)
        return name, numbers[0] if numbers else 0

    def _read(self, size: int) -> memoryview:
        if not 0 <= size <= len(self._data) - self._position:
            raise BatchError("expected a text, found the end in it")
        start, self._position = self._position, self._position + size
        return memoryview(self._data)[start : self._position]

    def _line(self) -> str:
        line = self._read(self._data.index(b"\n", self._position) - self._position)
        self._position += 1
        return bytes(line).decode("ascii")

    def _carry_out(self, name: str, number: int) -> None:
        stack = self._stack
        match name:
            case "PROTO":
                if number > 2:
                    raise BatchError(f"expected a pickle of protocol 2, found {number}")
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append(_CONSTANTS[name])
            case "BININT" | "BININT1" | "BININT2":
                stack.append(number)
            case "SHORT_BINSTRING" | "BINSTRING":
                stack.append(self._read(number))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(name[-1])
                parts = tuple(stack[-size:])
                del stack[-size:]
                stack.append(parts)
            case "APPEND":
                item = stack.pop()
                self._top(list).append(item)
            case "APPENDS":
                items = self._since_mark()
                self._top(list).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._top(dict)[_text(key)] = value
            case "SETITEMS":
                pairs = self._since_mark()
                keys = map(_text, pairs[::2])
                self._top(dict).update(zip(keys, pairs[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[number] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[number])
            case "GLOBAL":
                text = f"{self._line()} {self._line()}"
                if text not in _NAMES:
                    raise BatchError(f"expected numpy's arrays alone, found the name {text!r}")
                stack.append(_NAMES[text])
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                stack.append(_made(called, arguments))
            case "BUILD":
                state = stack.pop()
                _set_state(stack[-1], state)

    def _since_mark(self) -> list[Any]:
        """What lies above the last mark; both are taken off."""
        mark = len(self._stack) - 1
        while self._stack[mark] is not _MARK:
            mark -= 1
            if mark < 0:
                raise BatchError("expected a mark, found none")
        items = self._stack[mark + 1 :]
        del self._stack[mark:]
        return items

    def _top(self, kind: type[Any]) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise BatchError(f"expected a {kind.__name__} to add to, found another value")
        return self._stack[-1]


def _text(key: object) -> bytes:
    if not isinstance(key, memoryview):
        raise BatchError("expected a text as key, found another value")
    return bytes(key)


def _made(called: object, arguments: object) -> _Array | _ByteType:
    if called is _RECONSTRUCT and arguments == (_NDARRAY, (0,), b"b"):
        return _Array()
    if called is _DTYPE and arguments == (b"u1", 0, 1):
        return _ByteType()
    raise BatchError("expected an array of unsigned bytes, found another call")


def _set_state(target: object, state: object) -> None:
    """What numpy's own objects do with the state that they were pickled with."""
    if not isinstance(state, tuple):
        raise BatchError("expected the state of an array, found another")
    if isinstance(target, _ByteType) and state[:2] == (3, b"|"):
        return
    if isinstance(target, _Array) and len(state) == 5 and isinstance(state[2], _ByteType):
        version, shape, _, is_fortran, content = state
        if version == 1 and isinstance(content, memoryview):
            values = np.frombuffer(content, np.uint8)
            target.values = values.reshape(shape, order="F" if is_fortran else "C")
            return
    raise BatchError("expected the state of an array of unsigned bytes, found another")
