"""
The lines of scripted agents: what an ``agents.yaml`` says, and whose turn it is.

``read_agents`` turns the file into a ``Script`` or says what is wrong with it;
a ``Cast`` remembers who has said what. For each agent the entries whose
``when`` stands in the prompt go first, then those without ``when``; each kind
in order, the last one repeats. ``*`` serves agents without an applicable
entry, and counts for each of them from its beginning.

Source: docs/language.md, section Rehearsal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opl.document.load import Loaded, load
from opl.errors import OplError, Problem
from opl.script.values import is_number, normalise, parse_json, with_article

DEFAULT_LATENCY_SECONDS = 1.0
_FIELDS = frozenset({"when", "reply", "error", "latency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry: what is answered, and when it applies."""

    when: str | None = None  # only for prompts that contain this
    reply: Any = None  # the answer; text that is JSON stands for its value
    error: dict[str, Any] | None = None  # {type, message} where the agent fails instead
    latency_seconds: float = DEFAULT_LATENCY_SECONDS  # from the question to the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All lines of a rehearsal."""

    agents: Mapping[str, Sequence[Line]] = field(default_factory=dict)  # by agent id, "*" for all others
    events: Mapping[str, Sequence[Line]] = field(default_factory=dict)  # by the name of the event

    def names(self) -> set[str]:
        """The agents that have lines of their own."""
        return set(self.agents) - {"*"}


class Cast:
    """Whose turn it is; one for each rehearsal."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._said: set[tuple[str, str, int]] = set()  # (speaker, list, place) that had their turn

    def line(self, agent_id: str, prompt: str) -> Line | None:
        """The agent's next line for this prompt, or None where the file has none for it."""
        for name in (agent_id, "*"):
            found = self._next(f"agent {agent_id}", name, self._script.agents.get(name, ()), prompt)
            if found is not None:
                return found
        return None

    def event(self, name: str, text: str) -> Line | None:
        """The next scripted answer to an event; ``text`` is what a ``when`` is looked for in."""
        return self._next("event", name, self._script.events.get(name, ()), text)

    def _next(self, speaker: str, name: str, lines: Sequence[Line], prompt: str) -> Line | None:
        places = list(enumerate(lines))
        matching = [(n, line) for n, line in places if line.when is not None and line.when in prompt]
        always = [(n, line) for n, line in places if line.when is None]
        for group in (matching, always):
            for place, line in group:
                turn = (speaker, name, place)
                if turn not in self._said:
                    self._said.add(turn)
                    return line
            if group:
                return group[-1][1]
        return None


def read_agents(data: bytes, *, file: str = "") -> tuple[Script | None, tuple[Problem, ...]]:
    """
    The lines of an ``agents.yaml``.

    Returns:
        The script, or None with the problems that say what is wrong and where.
    """
    loaded = load(data)
    reader = _Reader(loaded, file)
    if any(problem.severity == "error" for problem in loaded.problems):
        return None, tuple(replace(problem, file=file) for problem in loaded.problems)
    script = reader.script()
    return (None if reader.problems else script), tuple(reader.problems)


class _Reader:
    """Reads one file and collects what is wrong with it."""

    def __init__(self, loaded: Loaded, file: str) -> None:
        self.loaded, self.file = loaded, file
        self.problems: list[Problem] = []

    def wrong(self, pointer: str, message: str, hint: str = "") -> None:
        line, column = self.loaded.position(pointer)
        self.problems.append(
            Problem(
                code="opl.rehearsal.agents",
                message=message,
                hint=hint,
                file=self.file,
                line=line,
                column=column,
                pointer=pointer,
            )
        )

    def script(self) -> Script:
        value = self.loaded.value
        if not isinstance(value, Mapping):
            self.wrong("", "the file is no mapping", "write 'agents:' with a list of replies for each agent")
            return Script()
        for key in value:
            if key not in ("agents", "events"):
                self.wrong(f"/{key}", f"'{key}' is neither 'agents' nor 'events'")
        return Script(agents=self._section(value, "agents"), events=self._section(value, "events"))

    def _section(self, value: Mapping[str, Any], name: str) -> dict[str, tuple[Line, ...]]:
        section = value.get(name)
        if section is None:
            return {}
        if not isinstance(section, Mapping):
            self.wrong(f"/{name}", f"'{name}' is {with_article(section)}", "write a list of replies for each name")
            return {}
        return {str(key): self._lines(entries, f"/{name}/{_escaped(str(key))}") for key, entries in section.items()}

    def _lines(self, entries: Any, pointer: str) -> tuple[Line, ...]:
        if isinstance(entries, Mapping):
            return (self._line(entries, pointer),)
        if not isinstance(entries, list) or not entries:
            self.wrong(pointer, "there is no list of replies", "write '- reply: …' below the name")
            return ()
        return tuple(self._line(entry, f"{pointer}/{place}") for place, entry in enumerate(entries))

    def _line(self, entry: Any, pointer: str) -> Line:
        if not isinstance(entry, Mapping):
            self.wrong(pointer, f"an entry is {with_article(entry)}", "write 'reply: …' or 'error: …'")
            return Line()
        for key in entry:
            if key not in _FIELDS:
                self.wrong(f"{pointer}/{_escaped(str(key))}", f"an entry has no field '{key}'", _KNOWN)
        if ("reply" in entry) == ("error" in entry):
            self.wrong(pointer, "an entry has either a reply or an error", _KNOWN)
        when = entry.get("when")
        if when is not None and not isinstance(when, str):
            self.wrong(f"{pointer}/when", "'when' is a part of the prompt, a string", "put it in quotes")
        return Line(
            when=when if isinstance(when, str) else None,
            reply=self._reply(entry.get("reply"), pointer),
            error=self._error(entry.get("error"), pointer),
            latency_seconds=self._latency(entry.get("latency"), pointer),
        )

    def _reply(self, reply: Any, pointer: str) -> Any:
        try:
            return answer_value(reply)
        except OplError as error:
            self.wrong(f"{pointer}/reply", f"the reply is no value of the language: {error}")
            return None

    def _error(self, error: Any, pointer: str) -> dict[str, Any] | None:
        if error is None:
            return None
        if isinstance(error, str):
            error = {"message": error}
        if not isinstance(error, Mapping):
            self.wrong(f"{pointer}/error", "an error is '{type, message}'")
            return None
        told = self._reply(dict(error), pointer)
        return {"type": "agent_error", "message": "the agent failed", **(told or {})}

    def _latency(self, latency: Any, pointer: str) -> float:
        if latency is None:
            return DEFAULT_LATENCY_SECONDS
        if not is_number(latency) or not 0 <= latency <= 31_536_000:
            self.wrong(f"{pointer}/latency", "'latency' is a number of seconds, 0 or more")
            return DEFAULT_LATENCY_SECONDS
        return float(latency)


_KNOWN = "an entry has 'reply' or 'error', and may have 'when' and 'latency'"


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def answer_value(reply: Any) -> Any:
    """What an agent's answer stands for: the value where its text is JSON, else the text."""
    if type(reply) is str:
        try:
            return parse_json(reply)
        except ValueError:
            return reply
    return normalise(reply)
