"""Reads and writes pickles of plain data, without running anything that they hold.

RefCOCO is distributed as Python 2 pickles. A pickle is a program for a stack machine, and Python's own reader lets that
program import and call any function. Here `pickletools` decodes the instructions, and only those that build containers
and scalars are carried out; any other instruction is an error.
"""

import codecs
import io
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from lion.errors import LionError


def loads(data: bytes) -> Any:
    """The value of a pickle, protocols 0 to 5, of lists, tuples, dicts, sets, texts, numbers, booleans and None.

    Python 2's byte strings are read as Latin-1. Raises: LionError if it is cut off, damaged, or holds anything else.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except LionError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise LionError(f"it is no pickle, or a damaged one (at byte {machine.data.tell()}: {error})") from error


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


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


class _Machine:
    """The stack machine, with the instructions of `_INSTRUCTIONS` only."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Carry out instructions up to STOP."""
        while code := self.data.read(1):
            opcode = _OPCODES.get(code.decode("latin-1"))
            if opcode is not None and opcode.name == "STOP":
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(opcode.name) if opcode else None
            if opcode is None or instruction is None:
                raise LionError(
                    f"it holds something other than lists, dicts, texts and numbers (instruction {code!r} at byte "
                    f"{self.data.tell() - 1}), and LION runs nothing that it reads"
                )
            if opcode.name == "STRING":  # the reader of pickletools takes ASCII only
                text = pickletools.read_stringnl(self.data, decode=False)
                instruction(self, codecs.escape_decode(text)[0].decode("latin-1"))
            else:
                instruction(self, opcode.arg and opcode.arg.reader(self.data))
        raise LionError("it is cut off: get the file again")

    def take(self, count: int) -> list[Any]:
        """Removes and returns the last `count` values."""
        if count > len(self.stack):
            raise IndexError("the stack holds too few values")
        return self._cut(len(self.stack) - count)

    def marked(self) -> list[Any]:
        """Removes and returns the values above the last mark."""
        return self._cut(self.marks.pop())

    def _cut(self, start: int) -> list[Any]:
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def add(self, kind: type, values: list[Any]) -> None:
        """Adds values, for a dict alternating keys and values, to the container on top, which must be of this kind."""
        container: Any = self.stack[-1]
        found = type(container)
        if found is not kind:
            raise LionError(f"it adds items to a {found.__name__}")
        if kind is list:
            container.extend(values)
        else:
            container.update(_dict(values) if kind is dict else values)


def _dict(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


_Instruction = Callable[[_Machine, Any], Any]


def _push(make: _Instruction) -> _Instruction:
    return lambda machine, argument: machine.stack.append(make(machine, argument))


_SCALARS = (
    "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
)  # fmt: skip
_INSTRUCTIONS: dict[str, _Instruction] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(_SCALARS, _push(lambda m, a: a)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda m, a: m.memo.__setitem__(a, m.stack[-1])),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _push(lambda m, a: m.memo[a])),
    "MEMOIZE": lambda m, a: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "MARK": lambda m, a: m.marks.append(len(m.stack)),
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m.marked(),
    "DUP": _push(lambda m, a: m.stack[-1]),
    "NONE": _push(lambda m, a: None),
    "NEWTRUE": _push(lambda m, a: True),
    "NEWFALSE": _push(lambda m, a: False),
    "EMPTY_LIST": _push(lambda m, a: []),
    "LIST": _push(lambda m, a: m.marked()),
    "APPEND": lambda m, a: m.add(list, m.take(1)),
    "APPENDS": lambda m, a: m.add(list, m.marked()),
    "EMPTY_TUPLE": _push(lambda m, a: ()),
    "TUPLE": _push(lambda m, a: tuple(m.marked())),
    "TUPLE1": _push(lambda m, a: tuple(m.take(1))),
    "TUPLE2": _push(lambda m, a: tuple(m.take(2))),
    "TUPLE3": _push(lambda m, a: tuple(m.take(3))),
    "EMPTY_DICT": _push(lambda m, a: {}),
    "DICT": _push(lambda m, a: _dict(m.marked())),
    "SETITEM": lambda m, a: m.add(dict, m.take(2)),
    "SETITEMS": lambda m, a: m.add(dict, m.marked()),
    "EMPTY_SET": _push(lambda m, a: set()),
    "ADDITEMS": lambda m, a: m.add(set, m.marked()),
    "FROZENSET": _push(lambda m, a: frozenset(m.marked())),
}
"""Name of an instruction to what it does with the machine and its argument; all other instructions are refused."""
