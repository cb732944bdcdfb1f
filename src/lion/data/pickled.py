"""Reads and writes pickles of plain data, and cannot do anything else.

RefCOCO comes as Python 2 pickles. A pickle is a program for a small stack machine, and Python's own reader lets it
call any function. This machine has only the instructions that build containers and scalars; there is none that names,
calls or imports something, so an evil file is an error like any other.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Iterator
from typing import Any

from lion.errors import LionError


def loads(data: bytes) -> Any:
    """The value of a pickle, protocols 0 to 5, of lists, tuples, dicts, sets, texts, numbers, booleans and None.

    Python 2's byte strings are read as Latin-1.

    Raises:
        LionError: it is cut off, damaged, or holds anything else.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except LionError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise LionError(f"it is no pickle, or a damaged one (at byte {machine.at}: {error})") from error


def dumps(value: Any) -> bytes:
    """A protocol 0 pickle, as REFER's files are, of lists, dicts, texts, numbers, booleans and None."""
    return b"".join(_written(value)) + b"."


def _written(value: Any) -> Iterator[bytes]:
    if value is None:
        yield b"N"
    elif isinstance(value, bool):
        yield b"I0%d\n" % value
    elif isinstance(value, int):
        yield b"I%d\n" % value
    elif isinstance(value, float):
        yield b"F%s\n" % repr(value).encode()
    elif isinstance(value, str):
        plain = "".join(f"\\u{ord(letter):04x}" if letter in "\\\0\n\r\x1a" else letter for letter in value)
        yield b"V%s\n" % plain.encode("raw-unicode-escape")
    elif isinstance(value, list):
        yield b"(l"
        for item in value:
            yield from _written(item)
            yield b"a"
    elif isinstance(value, dict):
        yield b"(d"
        for key, item in value.items():
            yield from _written(key)
            yield from _written(item)
            yield b"s"
    else:
        raise TypeError(f"{type(value).__name__} is not plain data")


class _Machine:
    """The stack machine; `at` is the next byte."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Carry out instructions up to STOP."""
        while True:
            code = self.take(1)
            if code == b".":
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise LionError(
                    f"it holds something other than lists, dicts, texts and numbers (instruction {code!r} at byte "
                    f"{self.at - 1}), and LION runs nothing that it reads"
                )
            instruction(self)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size < 0 or self.at + size > len(self.data):
            raise LionError("it is cut off: get the file again")
        self.at += size
        return self.data[self.at - size : self.at]

    def line(self) -> bytes:
        """Up to the next line's end."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise LionError("it is cut off: get the file again")
        found, self.at = self.data[self.at : end], end + 1
        return found

    def number(self, form: str) -> Any:
        """A number in a `struct` form."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def marked(self) -> list[Any]:
        """What lies above the last mark, taken off."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pairs(self) -> list[tuple[Any, Any]]:
        """The same as (key, value)."""
        items = iter(self.marked())
        return list(zip(items, items, strict=True))

    def last(self, kind: type) -> Any:
        """The value on top, which has to be of a kind: what is added to must be a container made here."""
        value = self.stack[-1]
        if type(value) is not kind:
            raise LionError(f"it adds items to a {type(value).__name__}")
        return value


def _integer(text: bytes) -> int:
    """Protocol 0 writes booleans as numbers with a leading zero."""
    return text == b"01" if text in (b"00", b"01") else int(text)


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.last(dict)[key] = value


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    machine.last(list).append(value)


def _tuple(machine: _Machine, size: int) -> None:
    machine.stack.append(tuple([machine.stack.pop() for _ in range(size)][::-1]))


def _push(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(make(machine))


def _latin(data: bytes) -> str:
    return data.decode("latin-1")


def _unicode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # protocol
    b"\x95": lambda m: m.take(8),  # frame
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.marked(),
    b"2": _push(lambda m: m.stack[-1]),
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"I": _push(lambda m: _integer(m.line())),
    b"L": _push(lambda m: int(m.line().rstrip(b"L"))),
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.number("<B")),
    b"M": _push(lambda m: m.number("<H")),
    b"\x8a": _push(lambda m: int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    b"\x8b": _push(lambda m: int.from_bytes(m.take(m.number("<i")), "little", signed=True)),
    b"F": _push(lambda m: float(m.line())),
    b"G": _push(lambda m: m.number(">d")),
    b"S": _push(lambda m: _latin(codecs.escape_decode(m.line().strip()[1:-1])[0])),
    b"T": _push(lambda m: _latin(m.take(m.number("<i")))),
    b"U": _push(lambda m: _latin(m.take(m.number("<B")))),
    b"V": _push(lambda m: m.line().decode("raw-unicode-escape")),
    b"X": _push(lambda m: _unicode(m.take(m.number("<I")))),
    b"\x8c": _push(lambda m: _unicode(m.take(m.number("<B")))),
    b"\x8d": _push(lambda m: _unicode(m.take(m.number("<Q")))),
    b"]": _push(lambda m: []),
    b"l": _push(lambda m: m.marked()),
    b"a": _append,
    b"e": lambda m: (lambda items: m.last(list).extend(items))(m.marked()),
    b")": _push(lambda m: ()),
    b"t": _push(lambda m: tuple(m.marked())),
    b"\x85": lambda m: _tuple(m, 1),
    b"\x86": lambda m: _tuple(m, 2),
    b"\x87": lambda m: _tuple(m, 3),
    b"}": _push(lambda m: {}),
    b"d": _push(lambda m: dict(m.pairs())),
    b"s": _set_item,
    b"u": lambda m: (lambda items: m.last(dict).update(items))(m.pairs()),
    b"\x8f": _push(lambda m: set()),
    b"\x90": lambda m: (lambda items: m.last(set).update(items))(m.marked()),
    b"\x91": _push(lambda m: frozenset(m.marked())),
    b"p": lambda m: m.memo.__setitem__(int(m.line()), m.stack[-1]),
    b"q": lambda m: m.memo.__setitem__(m.number("<B"), m.stack[-1]),
    b"r": lambda m: m.memo.__setitem__(m.number("<I"), m.stack[-1]),
    b"\x94": lambda m: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    b"g": _push(lambda m: m.memo[int(m.line())]),
    b"h": _push(lambda m: m.memo[m.number("<B")]),
    b"j": _push(lambda m: m.memo[m.number("<I")]),
}
"""By its byte; the rest of the pickle language is refused."""
