"""
What builtins may know of the run, and where warnings are kept.

The clock, the chance and the warnings live in the state; a ``RunContext`` is
their live side for one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opl.script.chance import Chance


class RunContext:
    """One per step; ``line`` is the statement that a warning speaks of."""

    __slots__ = ("_warnings", "chance", "inputs", "line", "now_ms", "state")

    def __init__(self, state: dict[str, Any], inputs: Mapping[str, Any]) -> None:
        self.state = state
        self.chance = Chance.from_json(state["chance"])
        self.now_ms: int = state["at"]
        self.inputs = inputs
        self.line = 0
        self._warnings: dict[str, Any] = state["warnings"]

    def timestamp(self) -> int:
        """Milliseconds since the epoch, larger than at the last call."""
        stamp: int = max(self.now_ms, self.state["stamp"] + 1)
        self.state["stamp"] = stamp
        return stamp

    def elapsed(self) -> float:
        """Seconds since the run started."""
        seconds = (self.now_ms - self.state["started"]) / 1000
        return int(seconds) if seconds.is_integer() else seconds

    def now(self) -> str:
        """The clock in ISO 8601."""
        return datetime.fromtimestamp(self.now_ms / 1000, UTC).isoformat()

    def warn(self, code: str, message: str) -> None:
        """Count a warning; equal ones of a line are one."""
        self._count(f"{code}|{self.line}|{message}", code, message, self.line)

    def unbound(self, name: str, line: int) -> None:
        """A name was read that nothing bound: one warning per name."""
        self._count(f"unbound|{name}", "opl.run.unbound-name", f"'{name}' was never bound and reads as null", line)

    def null_read(self, line: int) -> None:
        """A field or element of null was read."""
        self._count(f"null|{line}", "opl.run.null-read", "a part of null was read, which is null", line)

    def _count(self, key: str, code: str, message: str, line: int) -> None:
        found = self._warnings.get(key)
        if found is not None:
            found["count"] += 1
        elif len(self._warnings) < 1_000:
            self._warnings[key] = {"code": code, "message": message, "line": line, "count": 1}

    def close(self) -> None:
        """Write the chance back into the state."""
        self.state["chance"] = self.chance.to_json()
