"""
Observers of a run: blocks that its events carry out.

``observe_events(patterns) AS event:`` leaves an observer in the state. From
then on each event of the run whose name matches starts the block as a branch
inside the scope of the statement, with ``{name, data, seq, at}`` under the
event's name. Whoever emitted gives way: the statement behind the event is
carried out when every block that the event started has ended or waits.

Always true: a block is told of nothing that a block emits, so that observers
cannot set off each other; an observer lives as long as the branch that set it,
and that branch ends after the last of its blocks.

Source: docs/decisions/0105-callbacks-are-branches.md
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from opl.script.calls import OBSERVE
from opl.script.machine.frame import Frame
from opl.script.machine.waiting import SUSPEND
from opl.script.values import copy

if TYPE_CHECKING:
    from opl.script.machine.code import Linked

OWN = f"primitive:{OBSERVE}"  # what sets an observer is nothing to observe


class Observing:
    """The part of a ``Run`` that knows its observers; ``noticed`` are the blocks that the present event started."""

    state: dict[str, Any]
    branches: dict[str, Any]
    linked: Linked
    noticed: list[str]

    if TYPE_CHECKING:

        def frame(self, branch: dict[str, Any]) -> Frame:
            """See Run."""
            raise NotImplementedError

        def begin(self, f: Frame, kind: list[Any], label: str, item: Any, index: int) -> str:
            """See Run."""
            return ""

    def observe(self, f: Frame, patterns: list[str], pc: int) -> None:
        """From here on, events of these names start the block of the instruction at ``pc``."""
        self.state["observations"] = number = self.state.get("observations", 0) + 1
        observer = {"branch": f.data["id"], "pc": pc, "patterns": patterns, "number": number, "heard": 0}
        self.state.setdefault("observers", []).append(observer)

    def notice(self, f: Frame, name: str, data: dict[str, Any], seq: int) -> None:
        """Start the blocks that wait for such an event."""
        if "quiet" in f.data or name == OWN:
            return
        for observer in self.state["observers"]:
            if any(fnmatchcase(name, pattern) for pattern in observer["patterns"]):
                told = {"name": name, "data": copy(data), "seq": seq, "at": self.state["at"]}
                self._start(observer, told)

    def _start(self, observer: dict[str, Any], told: dict[str, Any]) -> None:
        observer["heard"] += 1
        owner = self.branches[observer["branch"]]
        kind = self.linked.program["instructions"][observer["pc"]][3]
        label = f"on{observer['number']}.{observer['heard']}"
        branch_id = self.begin(self.frame(owner), kind, label, told, observer["heard"] - 1)
        branch = self.branches[branch_id]
        branch["callback"] = branch["quiet"] = True
        branch["base"] = ""  # its label tells it apart already
        owner.setdefault("callbacks", []).append(branch_id)
        self.noticed.append(branch_id)

    def give_way(self, f: Frame, after: int | None) -> bool:
        """Let the blocks of this event go first, then the branch at ``after``; whether there are any."""
        if not self.noticed:
            return False
        first, self.noticed = self.noticed, []
        if after is not None:
            f.data["pc"] = after
            first = [*first, f.data["id"]]
        self.state["ready"][:0] = first
        return True

    def heard(self, branch: dict[str, Any]) -> int:
        """A block has ended; the branch that observes may have waited for it."""
        owner = self.branches[branch["parent"]]
        owner["callbacks"].remove(branch["id"])
        self._forget(branch["id"])
        if not owner["callbacks"] and owner.pop("ending", False):
            self.state["ready"].append(owner["id"])
        return SUSPEND

    def _forget(self, branch_id: str) -> None:
        raise NotImplementedError

    def blind(self, branch_id: str) -> None:
        """A branch is gone, and its observers with it."""
        self.branches.get(branch_id, {}).pop("callbacks", None)
        left = [each for each in self.state.get("observers", ()) if each["branch"] != branch_id]
        if left:
            self.state["observers"] = left
        else:
            self.state.pop("observers", None)
