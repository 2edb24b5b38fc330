"""The stack of a pickle that is followed without being run."""

from __future__ import annotations

from typing import Any

MARK = object()


def marked(stack: list[Any]) -> list[Any]:
    """What lies above the last mark; both are taken off. An IndexError where there is no mark."""
    place = len(stack) - 1
    while stack[place] is not MARK:
        place -= 1
        if place < 0:
            raise IndexError
    items = stack[place + 1 :]
    del stack[place:]
    return items


def last(stack: list[Any], count: int) -> list[Any]:
    """The last so many, left where they are; an IndexError where there are fewer."""
    if len(stack) < count:
        raise IndexError
    return stack[-count:]


def step(opcode: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> bool:
    """Follow an opcode that makes nothing but marks, tuples, None and booleans, or goes to the memo
    and back; False where it is another one, and nothing was done.
    """
    match opcode:
        case "PROTO":
            pass
        case "MARK":
            stack.append(MARK)
        case "NONE":
            stack.append(None)
        case "NEWTRUE" | "NEWFALSE":
            stack.append(opcode == "NEWTRUE")
        case "EMPTY_TUPLE":
            stack.append(())
        case "TUPLE":
            stack.append(tuple(marked(stack)))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            length = int(opcode[-1])
            stack[-length:] = [tuple(last(stack, length))]
        case "BINPUT" | "LONG_BINPUT":
            memo[argument] = stack[-1]
        case "BINGET" | "LONG_BINGET":
            stack.append(memo[argument])
        case _:
            return False
    return True
