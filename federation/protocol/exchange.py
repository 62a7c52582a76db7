"""
Conversations between nodes, without a socket: a session asks, a transport fetches, the session judges.

A session is a generator. It yields an ``Ask`` and is sent the ``Answer``; or
it yields a ``Take`` (lines to store, with the cursor to store in the same
transaction) or a ``Settled`` (what the peer said to a push) and is sent
None. It returns a summary. ``drive`` runs one against any transport and sink;
a crash between two steps loses nothing, since all progress stands in what was
taken.

    summary = drive(session.pull(cursor, sender=peer, own=us), transport, take=accept)

Every answer that reaches a session was verified by the transport: an answer
that proves nothing is a ``TransportFailure`` and never seen here. What a
verified answer gets wrong is the peer's fault: ``PeerMisbehaved``.

Source: OPL-Fed/1, "Endpoints", "Feed rules", "Requests and answers".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from federation.protocol import fields, limits, strictjson
from federation.protocol.feed import BadLine, Cursor, Line
from federation.protocol.problems import CODES, FederationError, Refused

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request to be signed and sent to the peer."""

    method: str
    path: str  # below the peer's base URL, with its query
    body: bytes = b""
    content_type: str = JSON_TYPE
    wait_seconds: int = 0  # how long the peer may hold it on purpose
    answer_bytes: int = limits.PAGE_BYTES  # the largest answer that is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verified answer, its content coding undone."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Lines to store, and the cursor to store with them in one transaction."""

    lines: tuple[Line | BadLine, ...]
    cursor: Cursor | None  # None: the lines were asked for by id and move no cursor
    is_compared: bool = False  # the sets were compared, and what was missing here has been taken before
    then: Ask | None = None  # what will be asked once they are stored; a transport may begin with it meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the peer said to one push."""

    txn: str
    results: tuple[Result, ...]  # one per line, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one pushed line."""

    id: str | None  # statement id; None where the line could not be read
    status: str  # accepted, duplicate or rejected
    code: str | None = None  # of problems.CODES where rejected
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a session did."""

    lines: int = 0  # lines taken, bad ones included
    bad: int = 0  # of them unreadable
    pages: int = 0
    cursor: Cursor | None = None  # where a pull stands now
    have: frozenset[str] = frozenset()  # statement ids the peer lacks, found by reconciling
    accepted: int = 0  # pushed lines the peer took
    duplicate: int = 0  # pushed lines the peer had
    rejected: Mapping[str, int] = field(default_factory=dict)  # code → pushed lines refused


class Transport(Protocol):
    """Carries an ask to one peer and its verified answer back."""

    def fetch(self, ask: Ask) -> Answer:
        """
        The verified answer.

        Raises:
            TransportFailure: no answer, or one that proves nothing.
        """


class AheadTransport(Transport, Protocol):
    """A transport that can use the time in which lines are stored."""

    def begin(self, ask: Ask) -> None:
        """``ask`` comes next, unless storing fails: it may be sent already. Raises nothing."""


Step = Ask | Take | Settled
Session = Generator[Step, Answer | None, Summary]
T = TypeVar("T")


class PeerRefused(FederationError):
    """The peer refused, and said why in a problem of the closed table."""

    code = "opl.federation.peer-refused"

    def __init__(
        self, problem: str, detail: str, retryable: bool, retry_after: int | None, extra: dict[str, Any]
    ) -> None:
        super().__init__(problem, detail, retryable, retry_after, extra)
        self.problem, self.detail = problem, detail
        self.retryable, self.retry_after, self.extra = retryable, retry_after, extra

    def __str__(self) -> str:
        return f"the peer answered {self.problem}: {self.detail}"


class PeerMisbehaved(FederationError):
    """A verified answer breaks the protocol: nothing of it is stored."""

    code = "opl.federation.peer-misbehaved"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the peer breaks the protocol: {self.reason}"


def drive(
    session: Session,
    transport: Transport,
    *,
    take: Callable[[Take], None] = lambda _: None,
    settle: Callable[[Settled], None] = lambda _: None,
    ahead: AheadTransport | None = None,
) -> Summary:
    """
    Run a session to its end: fetch what it asks, hand over what it has.

    Args:
        ahead: the transport once more, where it may fetch the next page while this one is stored.
    """
    given: Answer | None = None
    while True:
        try:
            step = session.send(given)
        except StopIteration as end:
            summary: Summary = end.value
            return summary
        given = None
        if isinstance(step, Ask):
            given = transport.fetch(step)
        elif isinstance(step, Take):
            if step.then is not None and ahead is not None:
                ahead.begin(step.then)
            take(step)
        else:
            settle(step)


def refusal(answer: Answer) -> PeerRefused:
    """What a verified answer that is no success says."""
    try:
        body = fields.obj(strictjson.loads(answer.body), "a problem")
        code = fields.text(body.get("code"), "code", longest=100)
    except Refused as error:
        raise PeerMisbehaved(f"it answered {answer.status} without a problem") from error
    rule = CODES.get(code)
    wait = body.get("retry_after")
    return PeerRefused(
        code,
        str(body.get("detail", ""))[:2_000],
        rule.retryable if rule else False,
        wait if isinstance(wait, int) and not isinstance(wait, bool) and wait >= 0 else None,
        {key: body[key] for key in ("server_time", "supported") if key in body},
    )


def fetched(answer: Answer | None) -> Answer:
    """
    The answer, if it is a success.

    Raises:
        PeerRefused: it is a problem.
    """
    assert answer is not None, "a session that asked must be sent the answer"
    if answer.status != 200:
        raise refusal(answer)
    return answer


def judged(call: Callable[..., T], *args: Any) -> T:
    """A judgement on what the peer sent: what would be its caller's fault in a request is the peer's in an answer."""
    try:
        return call(*args)
    except Refused as error:
        raise PeerMisbehaved(str(error)) from error
