"""
Replies that no AS took, and the branches that AWAIT them.

The inbox is a list in order of arrival; the waiting branches are a list in
order of beginning. A reply goes to the longest waiting AWAIT that it fits.
An AWAIT that nothing outstanding could answer is timed out at once; this is
decided when it begins and whenever a reply has come in.
"""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from opl.script.machine.frame import Frame
from opl.script.values import equal

if TYPE_CHECKING:
    from opl.script.machine.run import Run


class Inbox:
    """The inbox of a run."""

    __slots__ = ("run", "state")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.state = run.state

    def begin(self, f: Frame, wait: dict[str, Any], seconds: float | None, pc: int) -> dict[str, Any] | None:
        """Begin an AWAIT: its answer if there is one already (or never will be), else None."""
        if wait["count"] == -1:
            wait["count"] = max(self._within_reach(wait), 1)
        for entry in list(self.state["inbox"]):
            if _takes(wait, entry):
                self.state["inbox"].remove(entry)
                wait["got"].append(entry)
                if _complete(wait):
                    self.state["instants"] = 0
                    return _answer(wait, late=False)
        if not _possible(wait, self._coming(wait)):
            answer = self._hopeless(wait)
            return answer if self.state["ended"] is None else None  # stuck: nothing goes on
        f.data["pc"] = pc
        f.data["wait"] = wait
        if seconds is not None:
            wait["timer"] = self.run.timer(f, seconds, self.run.linked.places[pc][0])
        self.state["awaiting"].append(f.data["id"])
        return None

    def arrive(self, agent: str, value: Any, event: str = "") -> None:
        """A reply comes in, to an event of that name."""
        self.state["arrivals"] += 1
        self._offer({"n": self.state["arrivals"], "agent": agent, "value": value, "event": event})
        self.review()

    def _offer(self, entry: dict[str, Any], besides: str = "") -> None:
        """Give a reply to the longest waiting AWAIT that it fits, else keep it in order of arrival."""
        for branch_id in self.state["awaiting"]:
            if branch_id == besides:
                continue
            wait = self.run.branches[branch_id]["wait"]
            if _takes(wait, entry):
                wait["got"].append(entry)
                if _complete(wait):
                    self.state["instants"] = 0
                    self._wake(branch_id, _answer(wait, late=False))
                return
        inbox = self.state["inbox"]
        place = len(inbox)
        while place and inbox[place - 1]["n"] > entry["n"]:
            place -= 1
        inbox.insert(place, entry)

    def review(self) -> None:
        """Time out the AWAITs that nothing could answer any more."""
        everything = self._coming({})
        for branch_id in list(self.state["awaiting"]):
            wait = self.run.branches[branch_id]["wait"]
            coming = self._coming(wait) if wait is not None and wait.get("events") else everything
            if wait is not None and wait["kind"] == "await" and not _possible(wait, coming):
                answer = self._hopeless(wait, branch_id)
                if answer is not None:
                    self._wake(branch_id, answer)

    def late(self, branch_id: str) -> None:
        """The time of an AWAIT is over."""
        wait = self.run.branches[branch_id]["wait"]
        wait["timer"] = None
        self._wake(branch_id, self._late_answer(wait, branch_id))
        self.review()

    def abandon(self, branch_id: str) -> None:
        """A branch that waits is cancelled: what it had goes back."""
        self.state["awaiting"].remove(branch_id)
        wait = self.run.branches[branch_id]["wait"]
        if wait["timer"] is not None:
            self.run.cancel_timer(wait["timer"])
        for entry in sorted(wait["got"], key=lambda each: each["n"]):
            self._offer(entry, branch_id)

    def _wake(self, branch_id: str, answer: dict[str, Any]) -> None:
        wait = self.run.branches[branch_id]["wait"]
        if wait["timer"] is not None:
            self.run.cancel_timer(wait["timer"])
        self.state["awaiting"].remove(branch_id)
        self.run.wake(branch_id, answer)

    def _within_reach(self, wait: dict[str, Any]) -> int:
        """How many replies of the sources there are or will be."""
        here = Counter(each["agent"] for each in self.state["inbox"] if _suits(wait, each))
        sources = wait["sources"]
        agents = here + self._coming(wait)
        return sum(count for agent, count in agents.items() if sources is None or agent in sources)

    def _coming(self, wait: dict[str, Any]) -> Counter[str]:
        """How many replies to the inbox are outstanding, by agent, of the events that are waited for."""
        expected = (each for each in self.state["outstanding"].values() if each["to"] != "branch")
        return Counter(each["agent"] for each in expected if _named(wait, each.get("name", "")))

    def _hopeless(self, wait: dict[str, Any], branch_id: str = "") -> dict[str, Any] | None:
        """The time-out of a wait that nothing could answer; very many in a row end the run."""
        self.state["instants"] += 1
        if self.state["instants"] >= self.run.limits.instants:
            self.run.end("stuck", None)
        return self._late_answer(wait, branch_id)

    def _late_answer(self, wait: dict[str, Any], branch_id: str) -> dict[str, Any]:
        if wait["partial"] and wait["got"]:
            return _answer(wait, late=False)
        got, wait["got"] = wait["got"], []
        for entry in sorted(got, key=lambda each: each["n"]):
            self._offer(entry, branch_id)
        return {"late": True, "value": None}


def _possible(wait: dict[str, Any], coming: Counter[str]) -> bool:
    """Whether what is outstanding could complete the wait."""
    if wait["mode"] == "all":
        missing = Counter(_missing(wait))
        if wait["partial"]:
            return any(coming[agent] > 0 for agent in missing)
        return all(coming[agent] >= count for agent, count in missing.items())
    sources = wait["sources"]
    fitting = coming.total() if sources is None else sum(coming[agent] for agent in set(sources))
    wanted = (wait["count"] or 1) - len(wait["got"])
    return fitting > 0 and (wait["partial"] or fitting >= wanted)


def _missing(wait: dict[str, Any]) -> list[str]:
    """The sources of ALL(…) that have not replied; a name that stands twice needs two replies."""
    missing = list(wait["sources"] or [])
    for entry in wait["got"]:
        if entry["agent"] in missing:
            missing.remove(entry["agent"])
    return missing


def _takes(wait: dict[str, Any], entry: dict[str, Any]) -> bool:
    if not _suits(wait, entry):
        return False
    if wait["mode"] == "all":
        return entry["agent"] in _missing(wait)
    return wait["sources"] is None or entry["agent"] in wait["sources"]


def _suits(wait: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether a reply is to such an event, and has the fields that are asked for."""
    if not _named(wait, entry.get("event", "")):
        return False
    value, fits = entry["value"], wait.get("fits")
    if not fits:
        return True
    return type(value) is dict and all(name in value and equal(value[name], given) for name, given in fits.items())


def _named(wait: dict[str, Any], event: str) -> bool:
    patterns = wait.get("events")
    return not patterns or any(fnmatchcase(event, pattern) for pattern in patterns)


def _complete(wait: dict[str, Any]) -> bool:
    if wait["mode"] == "all":
        return not _missing(wait)
    return len(wait["got"]) >= (wait["count"] or 1)


def _answer(wait: dict[str, Any], *, late: bool) -> dict[str, Any]:
    """What a complete wait gives: a reply, or a list of them (ALL: in the order of its list)."""
    if wait["mode"] == "all":
        left = list(wait["got"])
        ordered = []
        for source in wait["sources"] or []:
            entry = next((each for each in left if each["agent"] == source), None)
            if entry is not None:
                left.remove(entry)
                ordered.append(entry["value"])
        return {"late": late, "value": ordered}
    if wait["count"] is not None:
        return {"late": late, "value": [entry["value"] for entry in wait["got"]]}
    return {"late": late, "value": wait["got"][0]["value"]}
