"""
What each kind of statement must say.

One function per kind judges the form of a predicate and answers who has to
have signed it: the author or node it names. Members that a kind does not
know are kept and ignored, so that a later version of the protocol can add
some. Form only: signatures, lineage and documents are judged elsewhere.

Source: OPL-Fed/1, "Objects: statements" and "Statements"; in-toto Statement v1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from federation.protocol import fields, lens, limits
from federation.protocol.problems import Refused
from federation.protocol.strictjson import refuse

OPERATIONS = frozenset({"new", "fork", "merge", "adapt", "translate"})
WITHDRAWALS = frozenset({"yank", "revoke", "erase"})
# Kinds no filter may leave out of a feed: missing one of them is a danger, not a taste.
ALWAYS_SENT = frozenset({"root", "yank", "revoke", "erase", "equivocation"})
PERIOD_SECONDS = 2_419_200  # a usage period: 28 days, counted from the epoch
LAST_PERIOD = 100_000  # in the year 9635; beyond it no calendar has a day
MOST_EPSILON = 1_000_000

Predicate = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about."""

    name: str
    sha256: str


def release(predicate: Predicate, subject: Subject) -> str:
    """A version of a pattern, by its author, with its exact source."""
    get = predicate.get
    signer = fields.author(get("author"), "author")
    fields.node(get("origin"), "origin")
    name = fields.pattern_name(get("name"), "name")
    fields.version(get("version"), "version")
    source_digest = _source(get("source"), fields.digest(get("source_digest"), "source_digest"))
    fields.digest(get("semantic_digest"), "semantic_digest")
    if subject.name != name or subject.sha256 != source_digest:
        refuse("the subject must be the release's name and source_digest")
    _requires(get("requires"))
    _lineage(get("lineage"), source_digest)
    if get("license") is not None:
        fields.text(get("license"), "license", longest=200)
    fields.texts(get("topics"), "topics", most=limits.TOPICS, longest=64)
    fields.propagate(get("propagate"), "propagate")
    fields.seconds(get("created"), "created")
    return signer


def verification(predicate: Predicate, subject: Subject) -> str:
    """What a node's own trial found, without any prompt or answer."""
    fields.obj(predicate.get("report"), "report")
    return fields.node(predicate.get("node"), "node")


def usage(predicate: Predicate, subject: Subject) -> str:
    """How often a pattern ran in a context and period, and how often it succeeded."""
    get = predicate.get
    signer = fields.node(get("node"), "node")
    if subject.sha256 != fields.digest(get("digest"), "digest"):
        refuse("the subject must be the digest that was used")
    cell = get("cell")
    if not isinstance(cell, dict):
        fields.text(cell, "cell", longest=400, empty=True)
    fields.integer(get("period"), "period", most=LAST_PERIOD)
    fields.integer(get("revision"), "revision")
    runs = fields.integer(get("runs"), "runs")
    fields.integer(get("success"), "success", most=runs)
    if get("profile") not in ("org", "public"):
        refuse("profile must be org or public")
    _epsilon(get("epsilon"))
    return signer


def withdrawal(predicate: Predicate, subject: Subject) -> str:
    """A yank, revocation or erasure; by anyone but author or origin it is advice."""
    get = predicate.get
    if subject.sha256 != fields.statement_id(get("target"), "target"):
        refuse("the subject must be the target")
    fields.text(get("reason"), "reason", longest=2_000, empty=True)
    if get("successor") is not None:
        fields.statement_id(get("successor"), "successor")
    fields.seconds(get("created"), "created")
    return _author_or_node(predicate)


def revoke(predicate: Predicate, subject: Subject) -> str:
    """As ``withdrawal``; it may also date the theft of a key."""
    if predicate.get("compromised_since") is not None:
        fields.seconds(predicate["compromised_since"], "compromised_since")
    return withdrawal(predicate, subject)


def translation(predicate: Predicate, subject: Subject) -> str:
    """A lens between vocabularies."""
    lens.read(predicate.get("lens"))
    fields.seconds(predicate.get("created"), "created")
    return _author_or_node(predicate)


def root(predicate: Predicate, subject: Subject) -> str:
    """A root document; ``root.read`` judges the rest of it."""
    named = [name for name in ("node_id", "author_id") if name in predicate]
    if len(named) != 1:
        refuse("a root document names either node_id or author_id")
    if named == ["node_id"]:
        return fields.node(predicate["node_id"], "node_id")
    return fields.author(predicate["author_id"], "author_id")


def equivocation(predicate: Predicate, subject: Subject) -> str:
    """Two signed releases of one version; ``equivocation.judge`` checks the proof."""
    envelopes = predicate.get("envelopes")
    if not isinstance(envelopes, list) or len(envelopes) != 2:
        refuse("envelopes must be two complete envelopes")
    return fields.node(predicate.get("node"), "node")


KINDS: Mapping[str, Callable[[Predicate, Subject], str]] = MappingProxyType(
    {
        "release": release,
        "verification": verification,
        "usage": usage,
        "yank": withdrawal,
        "revoke": revoke,
        "erase": withdrawal,
        "translation": translation,
        "root": root,
        "equivocation": equivocation,
    }
)


def _source(source: Any, named_digest: str) -> str:
    if not isinstance(source, str):
        refuse("source must be the text of the document")
    raw = source.encode("utf-8")
    if len(raw) > limits.SOURCE_BYTES:
        raise Refused("statement-too-large", f"the source has {len(raw)} bytes; {limits.SOURCE_BYTES} are the most")
    if sha256(raw).hexdigest() != named_digest:
        raise Refused("digest-mismatch", "source_digest is not the sha256 of the source's bytes")
    return named_digest


def _requires(value: Any) -> None:
    members = fields.obj(value, "requires")
    for name in ("events", "roles", "functions"):
        fields.texts(members.get(name), f"requires.{name}", most=1_000)


def _lineage(value: Any, own_digest: str) -> None:
    members = fields.obj(value, "lineage")
    parents = members.get("parents")
    if not isinstance(parents, list) or len(parents) > limits.PARENTS:
        refuse(f"lineage.parents must be a list of at most {limits.PARENTS} digests")
    for parent in parents:
        if fields.digest(parent, "lineage.parents[]") == own_digest:
            raise Refused("lineage-cycle", "the release names itself as its parent")
    if members.get("op") not in OPERATIONS:
        refuse(f"lineage.op must be one of {', '.join(sorted(OPERATIONS))}")


def _epsilon(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_EPSILON:
        refuse(f"epsilon must be a number from 0 to {MOST_EPSILON}, or null")


def _author_or_node(predicate: Predicate) -> str:
    named = [name for name in ("author", "node") if predicate.get(name) is not None]
    if len(named) != 1:
        refuse("the signer must be named, in author or in node")
    value = predicate[named[0]]
    return fields.author(value, "author") if named == ["author"] else fields.node(value, "node")
