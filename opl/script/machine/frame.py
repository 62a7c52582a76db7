"""
A branch while it runs: the scope of its names, and what it used up.

A ``Frame`` is a view of a branch in the state; ``vars`` *is* the branch's
object, so nothing has to be written back. Names are found in the frame, then
in the frames around it.

Invariants: no two names share a list or object (values are copied when they
are stored, ``take``); a mirrored name is copied outward at every change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opl.errors import LimitExceeded, TypeMismatch
from opl.script.values import MAX_DEPTH, copy, to_text, weight, with_article

if TYPE_CHECKING:
    from opl.script.machine.run import Run

MISSING: Any = object()


class Frame:
    """The live side of a branch."""

    __slots__ = ("count", "ctx", "data", "limit", "loc", "mirror", "parent", "room", "run", "vars", "weight")

    def __init__(self, run: Run, data: dict[str, Any], parent: Frame | None) -> None:
        self.run = run
        self.data = data
        self.parent = parent
        self.vars: dict[str, Any] = data["vars"]
        self.mirror: frozenset[str] = frozenset(data["mirror"])
        self.ctx = run.context
        self.loc = run.locals  # parameters of lambdas, by slot
        self.limit = run.limits.statements
        self.count = 0  # statements of the run so far
        self.weight = 0  # bytes stored or copied since the last settling
        self.room = 65_536

    # ------------------------------------------------------------ names

    def find(self, name: str) -> Any:
        """The value of a name, or MISSING."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.vars:
                return frame.vars[name]
            frame = frame.parent
        return MISSING

    def outer(self, name: str, line: int) -> Any:
        """The value of a name that is not in this frame; null with a warning where nothing bound it."""
        found = self.parent.find(name) if self.parent is not None else MISSING
        if found is MISSING:
            self.ctx.unbound(name, line)
            return None
        return found

    def bind(self, name: str, value: Any) -> None:
        """Give a name of this very scope a value that nothing else shares."""
        self.vars[name] = value
        if name in self.mirror:
            self.reflect(name, value)

    def owner(self, name: str) -> Frame:
        """The nearest scope that has the name, else this one."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.vars:
                return frame
            frame = frame.parent
        return self

    def assign(self, name: str, value: Any) -> None:
        """Change the nearest binding, else bind here."""
        self.owner(name).bind(name, value)

    def reflect(self, name: str, value: Any) -> None:
        """Copy a mirrored name into the scope around."""
        if self.parent is not None:
            self.parent.bind(name, copy(value))

    # ------------------------------------------------------------ places

    def read(self, name: str, keys: list[Any]) -> Any:
        """What stands at a place; null where it does not exist."""
        from opl.script.values import get_index

        found = self.find(name)
        found = None if found is MISSING else found
        for key in keys:
            found = get_index(found, key)
        return found

    def write(self, name: str, keys: list[Any], value: Any) -> None:
        """
        Put a value at a place, making the objects on the way.

        Raises:
            TypeMismatch: a number, string or boolean stands on the way, or a list is indexed outside.
        """
        owner = self.owner(name)
        if not keys:
            owner.bind(name, value)
            return
        root = owner.vars.get(name)
        if root is None:
            root = owner.vars[name] = {}
        self.weight += 16
        inner = root
        for key in keys[:-1]:
            inner = _deeper(inner, key)
        _put(inner, keys[-1], value)
        if name in owner.mirror:
            owner.reflect(name, root)

    def append(self, name: str, keys: list[Any], value: Any) -> None:
        """Add to the list at a place, making it where the place is null."""
        found = self.read(name, keys)
        if found is None:
            self.write(name, keys, [value])
        elif type(found) is list:
            found.append(value)
            self.weight += 8
            owner = self.owner(name)
            if name in owner.mirror:
                owner.reflect(name, owner.vars[name])
        else:
            raise TypeMismatch(f"APPEND adds to a list, not to {with_article(found)}")

    # ------------------------------------------------------------ what is used up

    def take(self, value: Any) -> Any:
        """A value of one's own: copied, and weighed against the limits."""
        kind = type(value)
        if kind is str:
            self.weight += len(value)
        elif kind is list or kind is dict:
            value = copy(value)
            self.weight += weight(value)
        if self.weight > self.room:
            self.run.settle(self)
        return value

    def charge(self, count: int) -> None:
        """Count work that copies nothing."""
        self.weight += count
        if self.weight > self.room:
            self.run.settle(self)

    def tick(self) -> None:
        """Refuse to go on where too many statements were carried out."""
        if self.count > self.limit:
            raise LimitExceeded("statements", self.limit)


def _deeper(value: Any, key: Any) -> Any:
    """The list or object at a key, made where there is none."""
    found = None
    if type(value) is dict:
        key = _key(key)
        found = value.get(key)
        if found is None:
            found = value[key] = {}
    elif type(value) is list:
        place = _position(value, key)
        found = value[place]
        if found is None:
            found = value[place] = {}
    if type(found) is dict or type(found) is list:
        return found
    raise _no_parts(value if found is None else found, key)


def _put(value: Any, key: Any, item: Any) -> None:
    if type(value) is dict:
        value[_key(key)] = item
    elif type(value) is list:
        value[_position(value, key)] = item
    else:
        raise _no_parts(value, key)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if type(key) is int or type(key) is float or type(key) is bool:
        return to_text(key)
    raise TypeMismatch(f"the key of an object is a string, not {with_article(key)}")


def _position(value: list[Any], key: Any) -> int:
    if type(key) is not int:
        raise TypeMismatch(f"the index of a list is a whole number, not {with_article(key)}")
    if not -len(value) <= key < len(value):
        raise TypeMismatch(f"the list has {len(value)} elements and no index {key}; use APPEND to add one")
    return key


def _no_parts(value: Any, key: Any) -> TypeMismatch:
    return TypeMismatch(f"{with_article(value)} has no part '{to_text(key)[:40]}' to assign to")


__all__ = ["MAX_DEPTH", "MISSING", "Frame"]
