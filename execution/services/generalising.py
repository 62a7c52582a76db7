"""
From what an orchestrator did to a script that does the same.

Pure: moves in, text out. A move is one use of a tool with its input and its
answer. What only looked (lists, status, metrics read) is left out. A block of
moves that repeats becomes a loop over what varied in it; delegations that
repeat become a fan-out; agents become places in the list of those spawned; the
words of the task become ``{{task}}``; and what differs between two runs that
did the same becomes an input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LOOKING = frozenset(
    ["list_agents", "query_agent_status", "observe_events", "load_pattern", "track_metrics", "export_pattern"]
)
AGENT_ARGUMENTS = frozenset(["agent_id", "agents", "target_agents", "options"])  # where an id stands for an agent
LONGEST_BLOCK = 12  # moves of one repeated block


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One use of a tool."""

    name: str
    input: Mapping[str, Any]
    answer: Any  # what the tool answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one guided run did."""

    task: str
    moves: Sequence[Move]
    result: Any  # the orchestrator's own answer


@dataclass(frozen=True, slots=True)
class Varying:
    """A value that is not the same in every repetition, or in every run."""

    values: tuple[Any, ...]


def script_of(traces: Sequence[Trace], *, title: str) -> str:
    """
    A script that does what the runs did.

    Args:
        traces: of successful runs; those that took the same steps as the first are generalised together.
    """
    return _Writer(traces, title).text()


def steps_of(trace: Trace) -> list[Move]:
    """The moves that did something, and whose input was accepted."""
    return [
        move
        for move in trace.moves
        if move.name not in LOOKING and not (isinstance(move.answer, Mapping) and move.answer.get("error"))
    ]


# ---------------------------------------------------------------- repetition


@dataclass(frozen=True, slots=True)
class Repeated:
    """A block that was done several times: its moves with what varied, and how often."""

    moves: tuple[Move, ...]
    times: int


def folded(moves: Sequence[Move]) -> list[Repeated]:
    """The moves with repeated blocks folded, the longest repetition first at every place."""
    found: list[Repeated] = []
    place = 0
    while place < len(moves):
        best = (1, 1)  # length, times
        for length in range(1, min(LONGEST_BLOCK, (len(moves) - place) // 2) + 1):
            times = _times(moves, place, length)
            if times > 1 and times * length > best[0] * best[1]:
                best = (length, times)
        length, times = best
        rounds = [moves[place + n * length : place + (n + 1) * length] for n in range(times)]
        found.append(Repeated(tuple(_merged(column) for column in zip(*rounds, strict=True)), times))
        place += length * times
    return found


def _times(moves: Sequence[Move], place: int, length: int) -> int:
    first = [_form(move) for move in moves[place : place + length]]
    times = 1
    while [_form(move) for move in moves[place + times * length : place + (times + 1) * length]] == first:
        times += 1
    return times


def _form(move: Move) -> tuple[Any, ...]:
    """What two moves must share to be the same step."""
    return (move.name, *sorted((name, type(value).__name__) for name, value in move.input.items()))


def _merged(column: Sequence[Move]) -> Move:
    first = column[0]
    merged = {name: _one([move.input[name] for move in column]) for name in first.input}
    return Move(name=first.name, input=merged, answer=[move.answer for move in column])


def _one(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else Varying(tuple(values))


# ---------------------------------------------------------------- writing


@dataclass(slots=True)
class _Writer:
    traces: Sequence[Trace]
    title: str
    lines: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)  # name → constant
    agents: dict[str, int] = field(default_factory=dict)  # id → place among those spawned
    indent: int = 0

    def text(self) -> str:
        first = self.traces[0]
        moves = steps_of(first)
        alike = [steps_of(t) for t in self.traces if [_form(m) for m in steps_of(t)] == [_form(m) for m in moves]]
        for move in moves:
            if move.name == "spawn_agent" and isinstance(move.answer, str):
                self.agents.setdefault(move.answer, len(self.agents))
        moves = [self._compared(place, column) for place, column in enumerate(zip(*alike, strict=True), 1)]
        for block in folded(moves):
            self._block(block)
        self._result(first.result)
        return "\n".join([f"## {self.title}", *self._head(first.task), *self.lines, ""])

    def _head(self, task: str) -> list[str]:
        names = {"task": task, **self.inputs}
        told = [f"STATE {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in names.items()]
        return [*told, "STATE agents = []", "STATE responses = []", "STATE material = []", ""]

    def _compared(self, place: int, column: Sequence[Move]) -> Move:
        """A move of the first run; what other runs did otherwise in it becomes an input."""
        first, given = column[0], {}
        for name, value in first.input.items():
            plain = isinstance(value, str | int | float) and not isinstance(value, bool)
            differs = any(move.input[name] != value for move in column[1:])
            if differs and plain and value not in self.agents and first.name != "spawn_agent":
                known = f"{name}_{place}"
                self.inputs[known] = value
                given[name] = _Named(known)
            else:
                given[name] = value
        return Move(name=first.name, input=given, answer=first.answer)

    def say(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)

    def _block(self, block: Repeated) -> None:
        if block.times == 1:
            for move in block.moves:
                self._move(move, {})
            return
        varying = {
            (place, name): value.values
            for place, move in enumerate(block.moves)
            for name, value in move.input.items()
            if isinstance(value, Varying)
        }
        counted = {key: text for key, values in varying.items() if (text := _counted(values)) is not None}
        listed = {key: values for key, values in varying.items() if key not in counted}
        fan_out = all(move.name == "delegate_subtask" for move in block.moves) and not counted
        if fan_out:
            self.say("PARALLEL:")
            self.indent += 1
        if listed or fan_out:
            self._for_each(block, listed, counted)
        else:
            self.say(f"LOOP round FROM 1 TO {block.times}:")
            self._body(block, {key: self._string(text) for key, text in counted.items()})
        if fan_out:
            self.indent -= 1

    def _for_each(
        self, block: Repeated, listed: Mapping[tuple[int, str], Sequence[Any]], counted: Mapping[tuple[int, str], str]
    ) -> None:
        """A loop over a list of what varied; the number of the round, where that varied too, counts along."""
        keys = list(listed)
        names = {key: f"{key[1]}_{key[0] + 1}" if len({k[1] for k in keys}) < len(keys) else key[1] for key in keys}
        rounds = [{names[key]: listed[key][n] for key in keys} for n in range(block.times)]
        one = len(keys) == 1
        items = ", ".join(self._item(keys, row) for row in rounds)
        self.say(f"FOREACH item IN [{items}]:")
        given = {key: "item" if one else f"item.{names[key]}" for key in keys}
        texts = {key: self._string(text.replace("{{round}}", "{{FOREACH_INDEX + 1}}")) for key, text in counted.items()}
        self._body(block, {**given, **texts})

    def _item(self, keys: Sequence[tuple[int, str]], row: Mapping[str, Any]) -> str:
        texts = [self._argument(key[1], value) for key, value in zip(keys, row.values(), strict=True)]
        if len(texts) == 1:
            return texts[0]
        return "{" + ", ".join(f"{name}: {text}" for name, text in zip(row, texts, strict=True)) + "}"

    def _body(self, block: Repeated, given: Mapping[tuple[int, str], str]) -> None:
        self.indent += 1
        for place, move in enumerate(block.moves):
            self._move(move, {name: text for (at, name), text in given.items() if at == place})
        self.indent -= 1

    # ------------------------------------------------------------ one move

    def _move(self, move: Move, given: Mapping[str, str]) -> None:
        writer = getattr(self, f"_{move.name}", None)
        arguments = {name: given.get(name) or self._argument(name, value) for name, value in move.input.items()}
        if writer is not None:
            writer(arguments, move)
        else:
            self.say(f"{move.name}({', '.join(f'{name}={text}' for name, text in arguments.items())})")

    def _spawn_agent(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"APPEND agents spawn_agent({given['profile']}, {given['purpose']})")

    def _broadcast_task(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"broadcast_task({given['task_description']}, {given['target_agents']})")

    def _await_responses(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"UPDATE responses = await_responses({given['agents']}, {given['timeout']})")
        self.say("UPDATE material = material + MAP(FILTER(responses, r => r.success), r => r.output)")

    def _delegate_subtask(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"STATE done = delegate_subtask({given['agent_id']}, {given['task']})")
        self.say("IF done.success:")
        self.say("  APPEND material done.output")

    def _evaluate_results(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"STATE judged = evaluate_results({given['criteria']})")
        self.say("TRACK {score: judged.score}")

    def _select_best(self, given: Mapping[str, str], move: Move) -> None:
        outputs = "MAP(FILTER(responses, r => r.success), r => r.output)"
        own = given["options"] if self._agents(move.input["options"]) else outputs
        self.say(f"STATE best = select_best({own}, {given['criteria']})")

    def _should_continue(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"STATE go_on = should_continue({given['condition']})")

    def _create_checkpoint(self, _given: Mapping[str, str], _move: Move) -> None:
        self.say("STATE checkpoint = create_checkpoint({agents: agents, material: material})")

    def _rollback_to_checkpoint(self, _given: Mapping[str, str], _move: Move) -> None:
        self.say("UPDATE material = rollback_to_checkpoint(checkpoint).material")

    def _record_decision(self, given: Mapping[str, str], _move: Move) -> None:
        self.say(f"record_decision({', '.join(given[name] for name in ('decision', 'outcome') if name in given)})")

    def _modify_strategy(self, given: Mapping[str, str], move: Move) -> None:
        changes = move.input["new_approach"]
        if isinstance(changes, Mapping) and isinstance(move.answer, Mapping) and move.answer.get("set"):
            self.say(f"record_decision({json.dumps({'decision_type': 'modify_strategy', 'context': dict(changes)})})")
        else:
            self.say(f"# Here the orchestrator changed its approach: {_comment(given['new_approach'])}")

    def _start_pattern(self, given: Mapping[str, str], _move: Move) -> None:
        inputs = given.get("inputs", "{}")
        self.say(f"EVENT orchestration:start {{pattern: {given['pattern']}, inputs: {inputs}}} AS child")
        self.say("APPEND material child.result")

    def _result(self, result: Any) -> None:
        """The orchestrator's last words become one agent's task: to write the result from the material."""
        fields = [name for name in result if str(name).isidentifier()] if isinstance(result, Mapping) else []
        wanted = f" as an object with the fields {', '.join(fields)}" if fields else ""
        prompt = f"Write the result of this task{wanted}. Task: {{{{task}}}} Material: {{{{JSON.stringify(material)}}}}"
        self.say(f'EVENT completion:async {{agent_id: "writer", prompt: {json.dumps(prompt)}}} AS written')
        if fields:
            self.say("RETURN {" + ", ".join(f"{name}: written.{name}" for name in fields) + "}")
        else:
            self.say("RETURN written.output")

    # ------------------------------------------------------------ values

    def _agents(self, value: Any) -> bool:
        return isinstance(value, list) and bool(value) and all(each in self.agents for each in value if _is_text(each))

    def _argument(self, name: str, value: Any) -> str:
        """An argument of a tool; ids of agents become places in the list of those spawned."""
        return self._value(value, name in AGENT_ARGUMENTS)

    def _value(self, value: Any, refers: bool = False) -> str:
        """A value as the script writes it."""
        if isinstance(value, _Named):
            return value.name
        if refers and self._agents(value) and set(value) == set(self.agents):
            return "agents"
        if isinstance(value, str):
            return f"agents[{self.agents[value]}]" if refers and value in self.agents else self._string(value)
        if isinstance(value, Mapping):
            pairs = (f"{json.dumps(str(name))}: {self._value(inner, refers)}" for name, inner in value.items())
            return "{" + ", ".join(pairs) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self._value(inner, refers) for inner in value) + "]"
        return json.dumps(value)

    def _string(self, text: str) -> str:
        """A string; the task's own words become ``{{task}}``, other braces stay as they were."""
        task = self.traces[0].task
        parts = text.split(task) if task and len(task) > 3 else [text]
        safe = [re.sub(r"\{\{(?!(?:round|FOREACH_INDEX \+ 1)\}\})", "{ {", part) for part in parts]
        return json.dumps("{{task}}".join(safe), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Named:
    """A value that an input holds."""

    name: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _comment(text: str) -> str:
    return " ".join(text.split())[:150]


def _counted(values: Sequence[Any]) -> str | None:
    """The common text of strings that differ only in their number, 1, 2, 3 …; None where they differ otherwise."""
    if not all(isinstance(value, str) for value in values):
        return None
    texts = set()
    for number, value in enumerate(values, 1):
        texts.add(re.sub(rf"(?<!\d){number}(?!\d)", "{{round}}", value))
    only = texts.pop() if len(texts) == 1 else None
    return only if only is not None and "{{round}}" in only else None
