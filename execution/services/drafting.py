"""
What one advance decides, before any of it is written.

A ``Draft`` feeds the machine, carries out what is local (entities, agents,
answers found in the journal of the run it branched off), and collects the
rest: effects to be sent, events to be told, timers to be set. It reads, and
writes nothing; ``journal.write`` puts it into rows in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.agents import roster
from execution.agents.base import Reservation
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.services import asking, children, coordinating, engine, isolating, reusing
from execution.services.asking import HANDLERS, Delivery
from execution.services.profiles import profile_for
from execution.services.sessions import Session
from execution.services.world import text
from opl.script.world import EMITTED

MAX_ROUNDS = 20_000  # beyond the limit of events: a machine that asks for ever is a fault of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker that sends what this advance asks, without another trip through the queue."""

    worker_id: int
    room: int  # how many questions it can take


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer that the machine has not had yet."""

    seq: int
    answer: Any
    replies: bool
    handler: str
    tokens: int
    cost: int
    reserved_tokens: int
    reserved_cost: int
    error_kind: str
    duration: float | None


@dataclass(slots=True, kw_only=True)
class Asked:
    """One new effect."""

    seq: int
    key: str
    request_hash: str
    name: str
    handler: str
    agent_id: str
    data: dict[str, Any]
    shape: Any
    line: int
    timeout: float | None
    replies: bool
    reservation: Reservation = field(default_factory=Reservation)
    delivery: Delivery | None = None  # sent by this worker right after the transaction
    reused: reusing.Found | None = None
    child: children.Plan | None = None
    failed: Any = None  # the reply of one that was refused at once
    waits_for_batch: bool = False  # queued without a due time: the next message batch takes it


@dataclass(slots=True, kw_only=True)
class Told:
    """One event for observers."""

    kind: str
    name: str
    data: Any
    branch: str = ""
    line: int = 0
    seq: int | None = None


class Draft:
    """The decisions of one advance of one session."""

    def __init__(self, session: Session, now: int, claim: Claim | None) -> None:
        self.session = session
        self.at = max(now, session.clock)
        self.claim = claim
        self.room = claim.room if claim is not None else 0
        self.turn = isolating.turn(session)  # of what this advance may emit; None for as much as there is
        self.emitted = 0  # so far, as the machine counts it
        self.gave_way = False  # whether the machine could go on at once
        self.rounds: list[list[dict[str, Any]]] = []
        self.consumed: list[Ready] = []
        self.fired: list[int] = []
        self.asked: dict[int, Asked] = {}
        self.told: list[Told] = []
        self.timers: dict[int, int] = {}
        self.dropped_timers: list[int] = []
        self.closed: list[int] = []  # effects of no interest any more
        self.decisions: list[Told] = []
        self.end: dict[str, Any] | None = None
        self.used_tokens = self.used_cost = 0
        self.reserved_tokens = self.reserved_cost = 0
        self._next: list[dict[str, Any]] = []
        self.operations = False  # whether this hub is asked for something, so that the run can go on at once
        self.holds = False  # whether something was held back for requests that this worker sends

    # ------------------------------------------------------------ feeding

    def feed(self, ready: Sequence[Ready], timers: Sequence[int], signals: Sequence[dict[str, Any]]) -> None:
        """Everything that is ready: replies first, in order of arrival, then timers, then signals."""
        inputs: list[dict[str, Any]] = []
        if self.session.state is None:
            from execution.services.sessions import fresh_state

            self.session.state = fresh_state(self.session)
            if not any(signal["kind"] == "terminate" for signal in signals):
                inputs.append({"kind": "start", "at": self.at})
        for one in ready:
            self.settle(one)
            if one.replies:
                inputs.append({"kind": "reply", "seq": one.seq, "value": one.answer, "at": self.at})
        for number in timers:
            self.fired.append(number)
            inputs.append({"kind": "timer", "id": number, "at": self.at})
        inputs += [{**signal, "at": self.at} for signal in signals]
        while inputs and self.end is None:
            inputs = self.step(inputs)

    def step(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One round: the machine's answer carried out; what it is told next."""
        if len(self.rounds) >= MAX_ROUNDS:
            raise RuntimeError(f"run {self.session.run_id} asked {MAX_ROUNDS} times in one advance")
        if self.turn is not None:
            inputs = [{**given, "turn": max(self.turn - self.emitted, 0)} for given in inputs]
        self.rounds.append([journaled(given, self.asked, self._from_effects) for given in inputs])
        self.session.state, effects = engine.step(self.session.program, self.session.state, inputs)
        if self.turn is not None:
            self.emitted += engine.emitted(effects)
        self._next = []
        for effect in effects:
            _CARRY_OUT[effect["kind"]](self, effect)
        return self._next

    @property
    def _from_effects(self) -> set[int]:
        return {one.seq for one in self.consumed}

    def settle(self, one: Ready) -> None:
        """Count what an answer took, and give back what was held for it."""
        self.consumed.append(one)
        self.used_tokens += one.tokens
        self.used_cost += one.cost
        self.reserved_tokens -= one.reserved_tokens
        self.reserved_cost -= one.reserved_cost
        self.told.append(Told(kind="reply", name="reply", data=summary(one), seq=one.seq))

    # ------------------------------------------------------------ what the machine asks

    def on_event(self, effect: dict[str, Any]) -> None:
        name, data = effect["name"], effect["data"]
        told = Told(kind="event", name=name, data=data, branch=effect["branch"], line=effect["line"], seq=effect["seq"])
        self.told.append(told)
        handler = HANDLERS.get(name)
        if name == "strategy:use":
            effect["data"] = data = told.data = children.strategy_request(self.session, data, self.told)
        if name in asking.JUDGED:
            known, value = coordinating.computed(self, name, data)
            if known:
                self.answer(effect, value)
                return
        if handler is not None:
            self.ask(effect, handler)
            return
        if name == "orchestrator:decision":
            told.kind = "decision"
            self.decisions.append(told)
        if isolating.captured(self.session.policy, name):
            self.answer(effect, dict(EMITTED))
        elif name.startswith("primitive:"):
            self.answer(effect, coordinating.answer(self, name.removeprefix("primitive:"), data))
        else:
            self.answer(effect, self.session.world.answer(name, data, self.at))

    def answer(self, effect: dict[str, Any], value: Any) -> None:
        """Answer an event at once, where somebody waits for it."""
        if effect["reply"] != "none":
            self.reply(effect["seq"], value)

    def decide(self, data: dict[str, Any]) -> None:
        """Write one decision into the log; observers have the event it came with."""
        self.decisions.append(Told(kind="decision", name="orchestrator:decision", data=data))

    def tell_machine(self, given: dict[str, Any]) -> None:
        """An input of the machine for the next round."""
        self._next.append(given)

    def reply(self, seq: int, value: Any) -> None:
        """An answer that is there at once: the machine gets it in the next round."""
        self._next.append({"kind": "reply", "seq": seq, "value": value, "at": self.at})

    def ask(self, effect: dict[str, Any], handler: str) -> None:
        """A question to an agent, a person or another run."""
        name, data, shape = effect["name"], effect["data"], effect.get("shape")
        asked = Asked(
            seq=effect["seq"],
            key=effect["key"],
            request_hash=asking.request_hash(name, data, shape),
            name=name,
            handler=handler,
            agent_id=asking.question_of(name, data).agent_id if handler == Handler.AGENT else "",
            data=data,
            shape=shape,
            line=effect["line"],
            timeout=effect["timeout"],
            replies=effect["reply"] != "none",
        )
        self.asked[asked.seq] = asked
        asked.reused = isolating.answer_of(self.session, asked, self.asked) or reusing.find(
            self.session, asked.key, asked.request_hash, handler
        )
        if asked.reused is not None:
            self.told.append(Told(kind="reply", name="reused", data=asked.reused.summary(), seq=asked.seq))
            if asked.replies:
                self.reply(asked.seq, asked.reused.value)
        elif handler == Handler.AGENT:
            self.ask_agent(asked)
        elif handler == Handler.CHILD:
            self.ask_child(asked)
        elif handler == Handler.HUB:
            self.operations = True

    def ask_agent(self, asked: Asked) -> None:
        """Send it with this worker where there is room and the run's own budget covers it; queue it otherwise."""
        session = self.session
        agent = session.world.meet(asked.agent_id, asked.data, self.at)
        if isolating.in_batches(session.policy):
            asked.waits_for_batch = True
            return
        if self.room <= 0 or session.parent_id is not None or session.policy.get("chained"):
            return
        profile = profile_for(
            session.version_id, agent.agent_id, asking.profile_name(agent, asked.data), agent.details, asked.data
        )
        request = asking.make_request(
            run_id=session.run_id,
            key=asked.key,
            name=asked.name,
            data=asked.data,
            shape=asked.shape,
            seed=session.seed,
            attempt=1,
            timeout=asked.timeout,
            profile=profile,
        )
        options = {"agents": session.policy["agents"]} if "agents" in session.policy else {}
        asked.reservation = roster.backend(session.backend, options).reserve(request)
        if not self.reserve(asked.reservation):
            asked.reservation = Reservation()
            return
        self.room -= 1
        asked.delivery = Delivery(
            run_id=session.run_id,
            seq=asked.seq,
            epoch=1,
            backend=session.backend,
            options=options,
            request=request,
            expires_at=expiry(self.at, asked.timeout),
            attempts_allowed=int(session.policy.get("attempts", 4)),
        )

    def reserve(self, wanted: Reservation) -> bool:
        """Hold it back from the run's own budget; False where it does not fit (the queue decides what then)."""
        session = self.session
        tokens = session.tokens_used + self.used_tokens + session.tokens_reserved + self.reserved_tokens
        cost = session.cost_used + self.used_cost + session.cost_reserved + self.reserved_cost
        if session.tokens_limit is not None and tokens + wanted.tokens > session.tokens_limit:
            return False
        if session.cost_limit is not None and cost + wanted.cost_micros > session.cost_limit:
            return False
        self.reserved_tokens += wanted.tokens
        self.reserved_cost += wanted.cost_micros
        self.holds = self.holds or bool(wanted.tokens or wanted.cost_micros)
        return True

    def ask_child(self, asked: Asked) -> None:
        """Plan a child run; one that cannot be started is a reply like any failure."""
        own = asked.name == "strategy:use" and asked.data.get("own")
        plan = (children.own_plan if own else children.plan)(self.session, asked.data)
        if isinstance(plan, children.Plan):
            asked.child = plan
            return
        asked.failed = {"success": False, "status": "refused", "result": None, "error": plan}
        if asked.replies:
            self.reply(asked.seq, asked.failed)

    def on_timer(self, effect: dict[str, Any]) -> None:
        self.timers[effect["id"]] = effect["due"]
        self.gave_way = self.gave_way or (self.turn is not None and effect["due"] <= self.at)

    def on_cancel_timer(self, effect: dict[str, Any]) -> None:
        if self.timers.pop(effect["id"], None) is None and effect["id"] not in self.fired:
            self.dropped_timers.append(effect["id"])

    def on_cancel(self, effect: dict[str, Any]) -> None:
        self.closed.append(effect["seq"])

    def on_track(self, effect: dict[str, Any]) -> None:
        self.told.append(
            Told(kind="track", name="track", data=effect["data"], branch=effect["branch"], line=effect["line"])
        )

    def on_rule(self, effect: dict[str, Any]) -> None:
        data = {name: effect[name] for name in ("condition", "action", "rationale", "index", "use") if name in effect}
        rule = Told(kind="rule", name="rule:fired", data=data, line=effect["line"])
        self.told.append(rule)
        self.decisions.append(rule)

    def on_end(self, effect: dict[str, Any]) -> None:
        self.end = effect

    # ------------------------------------------------------------ sums

    @property
    def calls(self) -> int:
        """Questions to agents that are now without an answer."""
        opened = sum(1 for a in self.asked.values() if a.handler == Handler.AGENT and a.reused is None)
        answered = sum(1 for one in self.consumed if one.handler == Handler.AGENT)
        return max(self.session.open_calls + opened - answered, 0)

    @property
    def status(self) -> str:
        """What the run is after this."""
        if self.end is not None:
            return str(self.end["status"])
        return "running" if self.calls else "waiting"


_CARRY_OUT = {
    "event": Draft.on_event,
    "timer": Draft.on_timer,
    "cancel_timer": Draft.on_cancel_timer,
    "cancel": Draft.on_cancel,
    "track": Draft.on_track,
    "rule": Draft.on_rule,
    "end": Draft.on_end,
}


def journaled(given: dict[str, Any], asked: dict[int, Asked], consumed: set[int]) -> dict[str, Any]:
    """An input as the journal keeps it: an answer that an effect's row holds is not repeated."""
    if given["kind"] != "reply":
        return dict(given)
    if given["seq"] in consumed or given["seq"] in asked:
        return {name: value for name, value in given.items() if name != "value"}
    return dict(given)


def summary(one: Ready) -> dict[str, Any]:
    """What an observer is told about an answer; the answer itself stands in the effect's row."""
    failed = isinstance(one.answer, dict) and one.answer.get("success") is False
    shown: dict[str, Any] = {"seq": one.seq, "success": not failed}
    if one.error_kind:
        shown["error"] = one.error_kind
    if one.duration is not None:
        shown["duration"] = one.duration
    if one.tokens:
        shown["tokens"] = one.tokens
    output = one.answer.get("output") if isinstance(one.answer, dict) else one.answer
    shown["output"] = text(output if isinstance(output, str) else dumps(output))[:160]
    return shown


def expiry(at: int, timeout: float | None) -> int | None:
    """When a question counts as timed out, in milliseconds."""
    return None if timeout is None else at + int(timeout * 1000)
