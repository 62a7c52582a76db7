"""
A run on a virtual clock: the machine's effects carried out by a cast, in no time.

The clock jumps to whatever happens next. At one instant replies come first,
in order of emission, then timers in order of starting; an answer of latency 0
still comes after everything that is being done now. Nothing here reads a
clock, a file or the network, so the same program, inputs, cast and seed give
the same record, byte for byte.

Source: docs/language.md, section Rehearsal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opl.errors import errors_only
from opl.script.chance import Chance
from opl.script.choosing import chosen, options_shown
from opl.script.compiler import compile_script
from opl.script.effects import Effect, EventEffect, Input, child_result, completion_result, timed_out
from opl.script.machine import Limits, check_inputs, start, step, variables
from opl.script.rehearse import plausible, simulated
from opl.script.rehearse.agents import DEFAULT_LATENCY_SECONDS, Cast, Line
from opl.script.values import copy, normal_number, normalise, stringify, to_text
from opl.script.world import EMITTED, LOCAL_EVENTS, World, names_of

START_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z, where every rehearsal's clock begins
RUN_SECONDS = 24 * 3600  # virtual time that a run may take
_SILENT = frozenset({"agent:status", "agent:progress", "agent:result", "orchestration:request_termination"})
_REPLY, _TIMER = 0, 1  # what happens first at one instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An answer that will arrive."""

    value: Any  # what the script gets
    seconds: float = 0.0  # after the question


@dataclass(slots=True, kw_only=True)
class Record:
    """All that happened in a rehearsal."""

    status: str = "stuck"
    result: Any = None
    error: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)  # {seq, at, name, data, reply, branch, line}
    tracked: list[dict[str, Any]] = field(default_factory=list)  # {at, data, line}
    rules: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    moments: list[dict[str, Any]] = field(default_factory=list)  # the same as a story, for the terminal
    elapsed: int | float = 0  # virtual seconds
    simulated: set[str] = field(default_factory=set)  # who answered without lines: agents, people, patterns
    state: dict[str, Any] | None = None  # of the machine at the end


class Stage:
    """Plays one program."""

    def __init__(
        self,
        program: dict[str, Any],
        *,
        inputs: Mapping[str, Any],
        seed: int,
        cast: Cast,
        limits: Limits | None = None,
        enough: Callable[[], bool] | None = None,
    ) -> None:
        self.program, self.cast, self.seed = program, cast, seed
        self.limits, self.enough = limits, enough
        self.state = start(program, inputs=inputs, seed=seed, limits=limits)
        self.world = World()
        self.record = Record()
        self.now = START_MS
        self._queue: list[tuple[int, int, int]] = []  # (due, reply or timer, seq or id)
        self._replies: dict[int, Any] = {}  # by seq, on their way
        self._timers: set[int] = set()
        self._asked: dict[str, int] = {}  # questions of each agent and kind, for simulated answers
        self._ended = False

    def play(self) -> Record:
        """Run to the end, or until nothing can happen any more."""
        self._feed({"kind": "start", "at": self.now})
        while self._queue and not self._ended:
            if self.enough is not None and self.enough():
                self._stop("opl.limit.rehearsal", "the rehearsal was cut off here, since it took too long")
                break
            due, kind, number = heapq.heappop(self._queue)
            if due > START_MS + RUN_SECONDS * 1000:
                self._run_out()
            elif kind == _REPLY and number in self._replies:
                self.now = due
                self._deliver(number)
            elif kind == _TIMER and number in self._timers:
                self.now = due
                self._timers.discard(number)
                self._feed({"kind": "timer", "id": number, "at": due})
        self.record.elapsed = self._seconds(self.now)
        self.record.state = self.state
        self.record.decisions = [{**each, "at": self._seconds(each["at"])} for each in copy(self.world.decisions)]
        return self.record

    def _run_out(self) -> None:
        """The run takes longer than it may: it ends, and nothing of it is lost."""
        self.now = START_MS + RUN_SECONDS * 1000
        self._stop("opl.limit.seconds", f"the limit of seconds ({RUN_SECONDS:,}) is used up")

    def _stop(self, code: str, reason: str) -> None:
        self._queue.clear()
        self._feed({"kind": "terminate", "status": "failed", "reason": reason, "at": self.now, "code": code})

    def _feed(self, given: Input) -> None:
        self.state, effects = step(self.program, self.state, [given])
        for effect in effects:
            self._carry_out(effect)

    def _deliver(self, seq: int) -> None:
        value = self._replies.pop(seq)
        self.record.events[seq - 1]["reply"] = copy(value)
        self._tell("answer", seq=seq, value=value)
        self._feed({"kind": "reply", "seq": seq, "value": copy(value), "at": self.now})

    def _carry_out(self, effect: Effect) -> None:
        if effect["kind"] == "event":
            self._emit(effect)
        elif effect["kind"] == "timer":
            self._timers.add(effect["id"])
            heapq.heappush(self._queue, (effect["due"], _TIMER, effect["id"]))
        elif effect["kind"] == "cancel_timer":
            self._timers.discard(effect["id"])
        elif effect["kind"] == "cancel":
            self._replies.pop(effect["seq"], None)
        elif effect["kind"] == "track":
            self.world.track(effect["data"])
            entry = {"at": self._seconds(effect["at"]), "data": copy(effect["data"]), "line": effect["line"]}
            self.record.tracked.append(entry)
            self._tell("track", data=entry["data"], branch=effect["branch"], line=effect["line"])
        elif effect["kind"] == "rule":
            rule = {name: effect[name] for name in ("condition", "action", "rationale", "line")}  # type: ignore[literal-required]
            self.record.rules.append({"at": self._seconds(effect["at"]), **rule})
            self._tell("rule", **rule)
        else:
            self._ended = True
            self.record.status = effect["status"]
            self.record.result = effect["result"]
            self.record.error = effect["error"]

    # ------------------------------------------------------------ events

    def _emit(self, effect: EventEffect) -> None:
        data = copy(effect["data"])
        self.world.note(effect["name"], data)
        planned = self._plan(effect, data)
        timeout = effect["timeout"]
        if timeout is not None and planned.seconds > timeout:
            late = timed_out(agent_id=to_text(data.get("agent_id")), seconds=timeout)
            planned = Planned(value=normalise(late), seconds=timeout)
        entry = {
            "seq": effect["seq"],
            "at": self._seconds(self.now),
            "name": effect["name"],
            "data": data,
            "reply": None,
            "branch": effect["branch"],
            "line": effect["line"],
        }
        self.record.events.append(entry)
        self._tell("event", **{name: entry[name] for name in ("seq", "name", "data", "branch", "line")})
        if effect["reply"] == "none":
            entry["reply"] = copy(planned.value)
            return
        self._replies[effect["seq"]] = planned.value
        heapq.heappush(self._queue, (self.now + round(planned.seconds * 1000), _REPLY, effect["seq"]))

    def _plan(self, effect: EventEffect, data: dict[str, Any]) -> Planned:
        """Who answers the event, what, and when."""
        name = effect["name"]
        line = self.cast.event(name, stringify(data))
        if line is not None:
            return self._spoken(name, data, line)
        if name in ("completion:async", "optimization:async"):
            return self._ask(effect, data)
        if name in LOCAL_EVENTS:
            return Planned(value=self.world.answer(name, data, self.now))
        if name.startswith("primitive:"):
            return self._primitive(name.removeprefix("primitive:"), effect, data)
        if name in ("judgement:ask", "human:ask", "orchestration:start", "strategy:use"):
            return self._imagine(name, effect, data)
        return Planned(value=None if name in _SILENT else dict(EMITTED))

    def _spoken(self, name: str, data: Mapping[str, Any], line: Line) -> Planned:
        """A scripted answer to an event."""
        agent_id = to_text(data.get("agent_id")) or name.partition(":")[0]
        if line.error is not None or name in ("completion:async", "optimization:async"):
            return self._completed(agent_id, line.reply, line)
        return Planned(value=line.reply, seconds=line.latency_seconds)

    def _completed(self, agent_id: str, answer: Any, line: Line | None) -> Planned:
        seconds = DEFAULT_LATENCY_SECONDS if line is None else line.latency_seconds
        value = completion_result(
            agent_id=agent_id,
            answer=copy(answer),
            error=None if line is None or line.error is None else copy(line.error),
            duration=normal_number(seconds),
        )
        return Planned(value=value, seconds=seconds)

    def _ask(self, effect: EventEffect, data: Mapping[str, Any]) -> Planned:
        """An agent's answer: its next line, else a simulated one."""
        optimizes = effect["name"] == "optimization:async"
        agent_id = to_text(data.get("agent_id")) or ("optimizer" if optimizes else "default")
        return self._question(agent_id, to_text(data.get("prompt")), effect, data, optimizes=optimizes)

    def _question(
        self,
        agent_id: str,
        prompt: str,
        effect: EventEffect,
        data: Mapping[str, Any],
        *,
        optimizes: bool = False,
    ) -> Planned:
        self.world.meet(agent_id, data)
        line = self.cast.line(agent_id, prompt or stringify(dict(data)))
        if line is not None:
            return self._completed(agent_id, line.reply, line)
        self.record.simulated.add(agent_id)
        draw, count = self._draw(agent_id)
        if optimizes:
            answer: Any = plausible.optimization(data, effect["shape"], draw)
        else:
            answer = simulated.completion(effect["shape"], draw, agent_id, count)
        return self._completed(agent_id, answer, None)

    def _draw(self, speaker: str) -> tuple[Chance, int]:
        """Chance for the next simulated answer of somebody, and which one it is, from 1."""
        count = self._asked[speaker] = self._asked.get(speaker, 0) + 1
        return Chance(f"{self.seed}:{speaker}:{count}"), count

    # ------------------------------------------------------------ judgements, people, child runs

    def _imagine(self, name: str, effect: EventEffect, data: Mapping[str, Any]) -> Planned:
        """What an oracle, a person or another pattern might answer."""
        if name == "judgement:ask":
            judgement = to_text(data.get("name"))
            line = self.cast.line("oracle", f"{judgement}: {stringify(dict(data))}")
            if line is not None:
                return self._verdict(line)
            self.record.simulated.add("oracle")
            draw, _ = self._draw(f"judgement {judgement}")
            return self._soon(simulated.judgement(judgement, effect["shape"], draw, data.get("arguments")))
        if name == "human:ask":
            self.record.simulated.add("person")
            draw, _ = self._draw("person")
            return self._soon(simulated.human(data, effect["shape"], draw))
        return self._child(data, effect)

    def _verdict(self, line: Line) -> Planned:
        """A scripted oracle's or judge's bare answer; a failed one answers null."""
        return Planned(value=None if line.error is not None else copy(line.reply), seconds=line.latency_seconds)

    def _soon(self, value: Any) -> Planned:
        return Planned(value=value, seconds=DEFAULT_LATENCY_SECONDS)

    def _child(self, data: Mapping[str, Any], effect: EventEffect) -> Planned:
        """A strategy of the document's own is played; any other pattern has a simulated result."""
        own = self.own_strategy(data)
        if own is not None:
            return self._played(own)
        pattern = to_text(data.get("pattern") or data.get("strategy"))
        self.record.simulated.add(pattern)
        draw, _ = self._draw(f"pattern {pattern}")
        shape = effect["shape"]
        told = plausible.fill(shape, draw) if shape and shape.get("properties") else f"Simulated result of {pattern}"
        return self._soon(child_result(run_id=0, status="succeeded", succeeded=True, result=told, error=None))

    def own_strategy(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """The program of a strategy that USE chooses, where the document has it itself."""
        found = self.program.get("strategies", {}).get(data.get("strategy"))
        return found if "pattern" not in data else None

    def taken(self, program: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of this script that another one takes as its inputs."""
        known = variables(self.state)
        given = {name: known[name] for name in program["inputs"] if known.get(name) is not None}
        wrong = {each.pointer.split("/")[1] for each in errors_only(check_inputs(program, given))}
        return {name: value for name, value in given.items() if name not in wrong}

    def _played(self, program: dict[str, Any]) -> Planned:
        stage = Stage(
            program,
            inputs=self.taken(program),
            seed=self.seed,
            cast=self.cast,
            limits=self.limits,
            enough=self.enough,
        )
        record = stage.play()
        self.record.simulated |= record.simulated
        good = record.status == "succeeded"
        value = child_result(run_id=0, status=record.status, succeeded=good, result=record.result, error=record.error)
        return Planned(value=value, seconds=float(record.elapsed))

    # ------------------------------------------------------------ primitives

    def _primitive(self, name: str, effect: EventEffect, data: dict[str, Any]) -> Planned:
        if name == "delegate_subtask":
            agent_id = next(iter(names_of(data.get("agent_id"))), "default")
            return self._question(agent_id, to_text(data.get("task")), effect, {})
        if name == "start_pattern":
            return self._child(data, effect)
        if name in ("evaluate_results", "select_best", "should_continue"):
            return self._judge(name, effect, data)
        return Planned(value=dict(EMITTED))

    def _judge(self, name: str, effect: EventEffect, data: dict[str, Any]) -> Planned:
        """Conditions over tracked values are computed; what is left is a judge agent's to say."""
        if name == "select_best":
            return self._choice(data)
        line = self.cast.line("judge", f"{name}: {stringify(data)}")
        if line is not None:
            return self._verdict(line)
        holds = self._holds(data.get("condition" if name == "should_continue" else "criteria"))
        self.record.simulated.update(() if holds is not None else ("judge",))
        draw, count = self._draw(f"{name} {stringify(data)}")
        if name == "should_continue":
            # A simulated judge who never has enough would never end a loop.
            return Planned(value=holds) if holds is not None else self._soon(count < 3)
        shape = effect["shape"]
        if holds is None and shape and shape.get("properties"):
            return self._soon(plausible.fill(shape, draw))
        score = plausible.fill({"type": "number"}, draw, "score")
        if holds is not None:
            return Planned(value={"met": holds, "score": int(holds), "reason": "computed"})
        return self._soon({"met": score >= 0.5, "score": score, "reason": f"simulated judgement {count}"})

    def _choice(self, data: dict[str, Any]) -> Planned:
        """One of the options, as the script says or by chance; of a single one there is nothing to ask."""
        shown = options_shown(data)
        if len(shown) < 2:
            return Planned(value=copy(shown[0]) if shown else None)
        line = self.cast.line("judge", f"select_best: {stringify({**data, 'options': shown})}")
        if line is not None:
            found = self._verdict(line)
            return Planned(value=copy(chosen(found.value, shown)), seconds=found.seconds)
        self.record.simulated.add("judge")
        liking = [Chance(f"{self.seed}:judge:{stringify(option)}").fraction() for option in shown]
        return self._soon(copy(shown[liking.index(max(liking))]))  # whatever the order

    def _holds(self, condition: Any) -> bool | None:
        """Whether a condition holds over the tracked values; None where it is prose, or reads what is not tracked."""
        if type(condition) is not str:
            return None if isinstance(condition, list | dict) else bool(condition)
        if len(condition) > 1000 or "\n" in condition:
            return None
        program = compile_script(f"RETURN ({condition})").program
        names = set(program["inputs"]) if program else set()
        known = {**variables(self.state), **self.world.metrics}
        if program is None or program["events"] or not names or not names <= set(known):
            return None
        state = start(program, inputs={name: known[name] for name in names})
        _, effects = step(program, state, [{"kind": "start", "at": self.now}])
        end = effects[-1] if effects else {}
        return bool(end["result"]) if end.get("status") == "succeeded" else None

    # ------------------------------------------------------------ telling

    def _seconds(self, at: int) -> int | float:
        return normal_number((at - START_MS) / 1000)

    def _tell(self, kind: str, **details: Any) -> None:
        self.record.moments.append({"kind": kind, "at": self._seconds(self.now), **details})
