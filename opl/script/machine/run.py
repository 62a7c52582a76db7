"""
One step of a run: inputs in, effects out.

A ``Run`` is the live side of a state for the time of one step. Inputs are
taken one after the other; after each, every branch that can go on goes on
until it waits. So it makes no difference how a driver groups its inputs; only
where an input gives a ``turn`` does the run give way before, at the next place
between two statements.

Invariants: the state is plain JSON between steps; ``ready`` holds branches in
the order in which they became able to go on; a branch that waits has ``pc`` at
the instruction that waits.

Source: docs/decisions/0012-branches-and-their-replies.md
"""

from __future__ import annotations

from math import inf
from typing import Any

from opl.errors import LimitExceeded, ScriptError
from opl.script.effects import completion_result
from opl.script.machine.code import Linked, unwind
from opl.script.machine.context import RunContext
from opl.script.machine.emitting import Emitting
from opl.script.machine.frame import Frame
from opl.script.machine.inbox import Inbox
from opl.script.machine.limits import Limits
from opl.script.machine.plain import INDEX, caught_value
from opl.script.machine.waiting import SUSPEND
from opl.script.values import copy, normalise, weight

_ROOM = 524_288  # bytes that may be stored between two measurements of the state


class Run(Emitting):
    """A state while a step runs."""

    def __init__(self, linked: Linked, state: dict[str, Any]) -> None:
        self.linked = linked
        self.state = state
        self.limits = Limits.from_json(state["limits"])
        self.effects: list[Any] = []
        self.given: dict[str, Any] = state["given"]
        self.branches: dict[str, Any] = state["branches"]
        self.context = RunContext(state, self.given)
        self.locals: list[Any] = [None] * linked.program["slots"]
        self.inbox = Inbox(self)
        self.frames: dict[str, Frame] = {}
        self.statements: int = state["statements"]
        self.emitted = 0  # bytes of this step's effects
        self.noticed: list[str] = []
        self.turn: float = inf  # of ``emitted``: what this step may emit before the run gives way
        self.gave_way = False

    # ------------------------------------------------------------ inputs

    def take(self, given: dict[str, Any]) -> None:
        """Take one input and go on as far as possible."""
        if self.state["ended"] is not None:
            return
        at = given["at"]
        if at > self.state["at"]:
            self.state["at"] = self.context.now_ms = at
            self.state["instants"] = 0
        self.turn = given.get("turn", inf)
        try:
            getattr(self, f"_take_{given['kind']}")(given)
            self.drain()
            self._check_state()
        except LimitExceeded as error:
            self.fail_limit(error)
        if self.state["ended"] is None:
            self._settle_end()

    def _take_start(self, given: dict[str, Any]) -> None:
        self.state["started"] = given["at"]
        self.state["stamp"] = given["at"] - 1
        self.state["ready"].append("0")

    def _take_reply(self, given: dict[str, Any]) -> None:
        expected = self.state["outstanding"].pop(str(given["seq"]), None)
        if expected is None:
            return
        value = _received(given["value"], expected["agent"])
        if self.state["completion"] is not None and self.state["completion"]["seq"] == given["seq"]:
            self.state["completion"]["value"] = copy(value)
        if self.state["closing"]:
            return
        if expected["to"] != "branch":
            self.inbox.arrive(expected["agent"], copy(value), expected.get("name", ""))
        if expected["to"] != "inbox" and expected["branch"] in self.branches:
            self.wake(expected["branch"], value)
        self._charge_state(weight(value))

    def _take_timer(self, given: dict[str, Any]) -> None:
        branch_id = self.state["timer_of"].pop(str(given["id"]), None)
        if branch_id is None or branch_id not in self.branches:
            return
        if self.branches[branch_id]["wait"]["kind"] == "await":
            self.inbox.late(branch_id)
        else:
            self.wake(branch_id, None)

    def _take_terminate(self, given: dict[str, Any]) -> None:
        error = None
        if given["status"] == "failed":
            error = {
                "code": given.get("code", "opl.run.terminated"),
                "message": given["reason"],
                "line": given.get("line", 0),
                "column": 0,
            }
        self.end(given["status"], None, error)

    def _take_assign(self, given: dict[str, Any]) -> None:
        name = given["name"]
        if name in self.linked.program["inputs"] or name in self.linked.program["initial_state"]:
            value = normalise(given["value"])
            self.given[name] = value
            self.frame(self.branches["0"]).bind(name, copy(value))

    # ------------------------------------------------------------ branches

    def frame(self, branch: dict[str, Any]) -> Frame:
        """The live side of a branch."""
        found = self.frames.get(branch["id"])
        if found is None:
            parent = self.branches[branch["parent"]] if branch["parent"] is not None else None
            found = Frame(self, branch, self.frame(parent) if parent is not None else None)
            self.frames[branch["id"]] = found
        return found

    def wake(self, branch_id: str, answer: Any) -> None:
        """A branch that waited can go on, with an answer."""
        branch = self.branches[branch_id]
        branch["wait"] = None
        branch["answer"] = [answer]
        self.state["ready"].append(branch_id)

    def drain(self) -> None:
        """Carry out every branch that can go on, until the turn is over."""
        ready = self.state["ready"]
        while ready and self.state["ended"] is None:
            if self.emitted >= self.turn:
                self.pause()
                return
            branch = self.branches.get(ready.pop(0))
            if branch is not None:
                self.execute(branch)

    def pause(self) -> None:
        """The turn is over: a timer that is due at once, and that no branch waits for, brings the next one."""
        if not self.gave_way:
            self.gave_way = True
            self.start_timer("", 0, "main", 0)

    def execute(self, branch: dict[str, Any]) -> None:
        """Carry a branch out until it waits or ends."""
        f = self.frame(branch)
        f.count = self.statements
        pc = branch["pc"]
        steps = self.linked.steps
        while True:
            try:
                if "answer" in branch:
                    pc = self.linked.resumes[pc](f, branch.pop("answer")[0])
                while pc >= 0:
                    branch["pc"] = pc
                    pc = steps[pc](f)
                    if f.count > f.limit:
                        raise LimitExceeded("statements", f.limit, *self.linked.places[branch["pc"]])
                break
            except ScriptError as error:
                pc = self.caught(f, error.at(*self.linked.places[branch["pc"]]))
            except LimitExceeded as error:
                self.statements = f.count
                if not error.line:
                    error.line, error.column = self.linked.places[branch["pc"]]
                raise
            except RecursionError:
                raise LimitExceeded("nesting", 64, *self.linked.places[branch["pc"]]) from None
        self.statements = f.count
        self.settle(f)

    def caught(self, f: Frame, error: ScriptError) -> int:
        """An error in a branch: to its TRY, else it cancels its siblings and is the error of their PARALLEL."""
        branch = f.data
        frames = branch["frames"]
        for depth in range(len(frames) - 1, -1, -1):
            if frames[depth]["k"] == "try":
                handler: int = frames[depth]["handler"]
                unwind(f, depth)
                branch["error"] = caught_value(error)
                branch["temps"] = {}
                return handler
        if branch["parent"] is None:
            return self._failed(error)
        if "callback" in branch:
            return self._failed(error)
        parent = self.branches[branch["parent"]]
        for sibling in parent["wait"]["live"]:
            self.cancel(sibling, besides=branch["id"])
        parent["wait"] = None
        outer = self.frame(parent)
        pc = self.caught(outer, error)
        if pc >= 0:
            parent["pc"] = pc
            self.state["ready"].append(parent["id"])
        return SUSPEND

    def _failed(self, error: ScriptError) -> int:
        place = {"line": error.line, "column": error.column}
        self.end("failed", None, {"code": error.code, "message": error.message, **place})
        return SUSPEND

    def cancel(self, branch_id: str, besides: str = "") -> None:
        """Stop a branch and those it started; nobody waits for its answers any more."""
        branch = self.branches[branch_id]
        wait = branch["wait"]
        if branch_id != besides and wait is not None:
            if wait["kind"] == "parallel":
                for inner in wait["live"]:
                    self.cancel(inner)
            elif wait["kind"] == "await":
                self.inbox.abandon(branch_id)
            elif wait["kind"] == "timer":
                self.cancel_timer(wait["timer"])
            elif wait["kind"] == "event" and self.state["outstanding"].pop(str(wait["seq"]), None):
                self.effects.append({"kind": "cancel", "seq": wait["seq"]})
        if branch_id in self.state["ready"]:
            self.state["ready"].remove(branch_id)
        for callback in list(branch.get("callbacks", ())):
            self.cancel(callback)
        self._forget(branch_id)

    def _forget(self, branch_id: str) -> None:
        self.branches.pop(branch_id, None)
        self.frames.pop(branch_id, None)
        if "observers" in self.state:
            self.blind(branch_id)

    # ------------------------------------------------------------ parallel

    def fill(self, f: Frame, kinds: list[Any]) -> None:
        """Start branches of a PARALLEL, in order, up to its limit."""
        wait = f.data["wait"]
        while wait["next"] < len(wait["queue"]) and (wait["limit"] is None or len(wait["live"]) < wait["limit"]):
            number, item, index = wait["queue"][wait["next"]]
            wait["queue"][wait["next"]] = None
            wait["next"] += 1
            kind = kinds[number]
            label = str(wait["next"]) if kind[0] != "one" or not kind[1] else kind[1]
            branch_id = self.begin(f, kind, label, item, index)
            self.state["ready"].append(branch_id)
            wait["live"].append(branch_id)
            wait["branches"] = number

    def begin(self, f: Frame, kind: list[Any], label: str, item: Any, index: int) -> str:
        """A new branch inside the frame's own; who begins it says when it goes on."""
        if len(self.branches) > self.limits.branches:
            place = self.linked.places[f.data["pc"]]
            raise LimitExceeded("branches", self.limits.branches, *place)
        branch_id = str(self.state["next_branch"])
        self.state["next_branch"] += 1
        branch = {
            "id": branch_id,
            "path": f"{f.data['path']}/{label}",
            "parent": f.data["id"],
            "number": index,
            "base": self.indices(f.data),
            "pc": kind[3],
            "vars": {},
            "mirror": kind[-1],
            "frames": [],
            "temps": {},
            "wait": None,
        }
        if "quiet" in f.data:
            branch["quiet"] = True
        self.branches[branch_id] = branch
        inner = self.frame(branch)
        if kind[0] != "one":
            for name, value in zip(kind[1], item if len(kind[1]) == 2 else [item], strict=True):
                inner.bind(name, value)
            branch["vars"][INDEX] = index
        return branch_id

    def ended_branch(self, f: Frame) -> int:
        """A branch, or the script, came to its end."""
        branch = f.data
        if branch.get("callbacks"):
            branch["ending"] = True  # with its last callback
            return SUSPEND
        if "callback" in branch:
            return self.heard(branch)
        if branch["parent"] is None:
            self.state["closing"] = True
            return SUSPEND
        parent = self.branches[branch["parent"]]
        parent["wait"]["live"].remove(branch["id"])
        self._forget(branch["id"])
        if parent["wait"]["next"] < len(parent["wait"]["queue"]):
            kinds = self.linked.program["instructions"][parent["pc"]][3]
            self.fill(self.frame(parent), kinds)
        elif not parent["wait"]["live"]:
            self.wake(parent["id"], None)
        return SUSPEND

    @staticmethod
    def indices(branch: dict[str, Any]) -> str:
        """The iterations of the loops around a place, outermost first: ".0.2"."""
        own = "".join(f".{frame['i']}" for frame in branch["frames"] if frame["k"] == "loop")
        return f"{branch['base']}{own}"

    # ------------------------------------------------------------ the end

    def returned(self, value: Any) -> int:
        """RETURN and USE: the branches stop; what is outstanding is waited for."""
        self.state["closing"] = True
        self.state["result"] = [value]
        self.state["ready"].clear()
        self.state["awaiting"].clear()
        self.state["inbox"].clear()
        for number in list(self.state["timer_of"]):
            self.cancel_timer(int(number))
        for branch_id in [each for each in self.branches if each != "0"]:
            self._forget(branch_id)
        root = self.branches["0"]
        root["wait"], root["frames"], root["temps"] = None, [], {}
        self.blind("0")
        return SUSPEND

    def _settle_end(self) -> None:
        """End the run where its script has ended and every event has its reply, or nothing can happen."""
        if self.state["ready"]:
            return  # its turn was over
        if self.state["closing"]:
            if not self.state["outstanding"]:
                self.end("succeeded", self._result())
        elif not self.state["outstanding"] and not self.state["timer_of"]:
            self.end("stuck", None)

    def _result(self) -> Any:
        if self.state["result"] is not None:
            return self.state["result"][0]
        return self.state["completion"]["value"] if self.state["completion"] is not None else None

    def fail_limit(self, error: LimitExceeded) -> None:
        """A limit ran out: the run fails, and what was emitted stays."""
        line, column = (error.line, error.column) if error.line else self.linked.places[self.branches["0"]["pc"]]
        self.end("failed", None, {"code": error.code, "message": _message(error), "line": line, "column": column})

    def end(self, status: str, result: Any, error: dict[str, Any] | None = None) -> None:
        """The run is over."""
        if self.state["ended"] is None:
            self.state["ended"] = status
            self.state["ready"].clear()
            self.effects.append(
                {"kind": "end", "status": status, "result": result, "error": error, "at": self.state["at"]}
            )

    # ------------------------------------------------------------ what is used up

    def settle(self, f: Frame) -> None:
        """Count what a frame copied and stored; refuse a state that has become too large."""
        size, f.weight = f.weight, 0
        self.state["spent"] += size
        if self.state["spent"] > self.limits.work:
            raise LimitExceeded("work", self.limits.work)
        self._charge_state(size)

    def _charge_state(self, size: int) -> None:
        self.state["grown"] += size
        if self.state["grown"] > self.state["room"]:
            self._measure()

    def _check_state(self) -> None:
        """Between two inputs the limit is exact: measure again where there is less room than may be used unmeasured."""
        if self.state["grown"] and self.state["room"] <= _ROOM:
            self._measure()

    def _measure(self) -> None:
        found = weight(self.state, self.limits.state_bytes)
        if found > self.limits.state_bytes:
            raise LimitExceeded("state-bytes", self.limits.state_bytes)
        self.state["grown"] = 0
        self.state["room"] = max(self.limits.state_bytes - found, _ROOM)

    def close(self) -> None:
        """Write back what the step kept apart."""
        self.state["statements"] = self.statements
        self.context.close()


def _received(value: Any, agent: str) -> Any:
    """A reply as a value of the language; one that is none counts as a failure of its agent."""
    try:
        return normalise(value)
    except ScriptError as error:
        told = {"type": "bad_reply", "message": f"the reply is no JSON value: {error.message}"}
        return completion_result(agent_id=agent, error=told)


def _message(error: LimitExceeded) -> str:
    line, column, error.line, error.column = error.line, error.column, 0, 0
    text = str(error)
    error.line, error.column = line, column
    return text
