"""
What can go wrong around a run, split by whose fault it is.

    ExecutionError
    ├── RunRefused               a request that cannot be carried out; the caller's to mend (HTTP 4xx)
    │   ├── NotExecutable        the version has no script that this machine can run
    │   ├── InputsRefused        the inputs do not fit the version; carries problems
    │   ├── BackendUnknown       no agent backend of that name is configured
    │   ├── BackendLacksTools    a guided pattern needs agents that can use tools
    │   ├── NotPossible          this status of the run does not allow that
    │   ├── RunFinished          the run has ended; nothing more happens to it
    │   ├── TickUnknown          the run has no such checkpoint
    │   ├── QuestionClosed       the question was answered before, or the run no longer waits for it
    │   ├── NotDistillable       these runs make no script
    │   ├── MayNotWrite          the run may not publish in the name of whoever started it
    │   ├── AnswerRefused        the answer is not one of the choices, or does not fit the schema
    │   ├── BudgetExceeded       a request that the budget does not cover; it is not sent
    │   ├── TrialRefused         a trial that cannot be started; names the field
    │   ├── TrialNotPossible     this status of the trial does not allow that
    │   └── AdoptionRefused      the verdict, the versions or the person do not allow the adoption
    ├── RunMoved                 another worker advanced the run first; load it and retry
    ├── StaleLease               this worker lost the effect to another one; its answer came too late
    ├── JournalBroken            a journal that does not replay: our bug, or a damaged database
    └── AgentError               an agent did not answer as asked; ``kind`` is what a script sees as error.type

Each has a stable ``code``; those with a ``status`` are meant for a client.
"""

from __future__ import annotations

from collections.abc import Sequence

from opl.errors import Problem


class ExecutionError(Exception):
    """Anything this package raises on purpose."""

    code = "execution.error"
    status = 500


class RunRefused(ExecutionError):
    """The request cannot be carried out as it stands."""

    code = "execution.refused"
    status = 422


class NotExecutable(RunRefused):
    """The version has no compiled script."""

    code = "execution.not-executable"

    def __init__(self, version: str, reason: str = "its strategy is prose, and no script of it compiles") -> None:
        super().__init__(version, reason)
        self.version, self.reason = version, reason

    def __str__(self) -> str:
        return f"{self.version} cannot be run: {self.reason}"


class InputsRefused(RunRefused):
    """One or more inputs do not fit; every problem is listed."""

    code = "execution.inputs"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(problem.message for problem in self.problems) or "the inputs do not fit this pattern"


class BackendUnknown(RunRefused):
    """No agent backend of that name."""

    code = "execution.backend-unknown"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, tuple(known))
        self.name, self.known = name, tuple(known)

    def __str__(self) -> str:
        return f"there is no agent backend {self.name!r} here; use one of {', '.join(self.known)}"


class BackendLacksTools(RunRefused):
    """A guided pattern needs agents that can use tools."""

    code = "execution.backend-lacks-tools"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the agent backend {self.name} cannot use tools, which a guided pattern needs; choose another"


class NotPossible(RunRefused):
    """The run's status does not allow what was asked."""

    code = "execution.not-possible"
    status = 409

    def __init__(self, what: str, run_status: str) -> None:
        super().__init__(what, run_status)
        self.what, self.run_status = what, run_status

    def __str__(self) -> str:
        return f"a run that is {self.run_status} cannot be told to {self.what}"


class RunFinished(RunRefused):
    """The run had already ended."""

    code = "execution.run-finished"
    status = 409

    def __init__(self, run_id: int, run_status: str) -> None:
        super().__init__(run_id, run_status)
        self.run_id, self.run_status = run_id, run_status

    def __str__(self) -> str:
        return f"run {self.run_id} has ended ({self.run_status}); branch off from one of its checkpoints to go on"


class TickUnknown(RunRefused):
    """The run has no tick of that number."""

    code = "execution.tick-unknown"
    status = 404

    def __init__(self, run_id: int, tick: int, last: int) -> None:
        super().__init__(run_id, tick, last)
        self.run_id, self.tick, self.last = run_id, tick, last

    def __str__(self) -> str:
        return f"run {self.run_id} has no checkpoint {self.tick}; it has 1 to {self.last}"


class QuestionClosed(RunRefused):
    """Nobody waits for this answer any more."""

    code = "execution.question-closed"
    status = 409

    def __init__(self, run_id: int, seq: int) -> None:
        super().__init__(run_id, seq)
        self.run_id, self.seq = run_id, seq

    def __str__(self) -> str:
        return f"run {self.run_id} does not wait for an answer to event {self.seq} (any more)"


class AnswerRefused(RunRefused):
    """The answer is not of the kind that the question asks for."""

    code = "execution.answer"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NotDistillable(RunRefused):
    """These runs make no script."""

    code = "execution.not-distillable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class MayNotWrite(RunRefused):
    """The run may not publish in the name of whoever started it."""

    code = "execution.may-not-write"
    status = 403

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self.pattern = pattern

    def __str__(self) -> str:
        return f"{self.pattern} may not publish for you; start the run with policy {{publish: true}} to allow it"


class BudgetExceeded(RunRefused):
    """A request would exceed a budget, so it is not sent."""

    code = "execution.budget"
    status = 409

    def __init__(self, limit: str, allowed: float, needed: float) -> None:
        super().__init__(limit, allowed, needed)
        self.limit, self.allowed, self.needed = limit, allowed, needed

    def __str__(self) -> str:
        return (
            f"the budget of {self.allowed:g} {self.limit} does not cover this request, which may need {self.needed:g}"
        )


class TrialRefused(RunRefused):
    """The trial cannot be started as it was asked for."""

    code = "execution.trial-refused"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message

    @property
    def members(self) -> dict[str, object]:
        """The field at fault, in the shape that forms and clients read."""
        return {"fields": {self.field: [self.message]}}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class TrialNotPossible(RunRefused):
    """The trial's status does not allow what was asked."""

    code = "execution.trial-not-possible"
    status = 409

    def __init__(self, what: str, trial_status: str) -> None:
        super().__init__(what, trial_status)
        self.what, self.trial_status = what, trial_status

    def __str__(self) -> str:
        return f"a trial that is {self.trial_status} cannot be told to {self.what}"


class AdoptionRefused(RunRefused):
    """The candidate cannot be adopted."""

    code = "execution.adoption-refused"
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RunMoved(ExecutionError):
    """Another worker advanced the run first; load it and retry."""

    code = "execution.run-moved"
    status = 409

    def __init__(self, run_id: int) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"run {self.run_id} was advanced by somebody else meanwhile; load it and try again"


class StaleLease(ExecutionError):
    """The effect belongs to another worker by now."""

    code = "execution.stale-lease"
    status = 409

    def __init__(self, effect_id: int, epoch: int) -> None:
        super().__init__(effect_id, epoch)
        self.effect_id, self.epoch = effect_id, epoch

    def __str__(self) -> str:
        return f"effect {self.effect_id} was taken over after epoch {self.epoch}; this answer is kept as late"


class JournalBroken(ExecutionError):
    """The journal of a run does not replay."""

    code = "execution.journal-broken"

    def __init__(self, run_id: int, tick: int, reason: str) -> None:
        super().__init__(run_id, tick, reason)
        self.run_id, self.tick, self.reason = run_id, tick, reason

    def __str__(self) -> str:
        return f"the journal of run {self.run_id} does not replay at tick {self.tick}: {self.reason}"


class AgentError(ExecutionError):
    """
    An agent did not answer as asked.

    ``kind`` is what a script reads as ``error.type``: ``timeout``, ``refused``,
    ``overloaded``, ``truncated``, ``invalid_request``, ``agent_error``. One
    that is ``retryable`` is tried again within the run's attempts, after
    ``retry_after`` seconds where the provider names a time. ``paid`` tells
    whether the provider may have charged for it.
    """

    code = "execution.agent"
    status = 502

    def __init__(
        self, kind: str, message: str, retryable: bool = False, retry_after: float | None = None, paid: bool = False
    ) -> None:
        super().__init__(kind, message, retryable, retry_after, paid)
        self.kind, self.message = kind, message
        self.retryable, self.retry_after, self.paid = retryable, retry_after, paid

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"
