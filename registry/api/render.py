"""Rows as the API answers them; one function per noun. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any

from registry.models import (
    AuditEntry,
    Channel,
    ChannelMove,
    Comment,
    Decision,
    Draft,
    Owner,
    Pattern,
    PatternVersion,
    Profile,
    Rating,
    Report,
    Token,
    Webhook,
    WebhookDelivery,
)
from registry.services import analytics
from registry.services.previewing import PatternPreview, Preview
from registry.services.publishing import Published


def pattern(row: Pattern) -> dict[str, Any]:
    """A pattern as a list shows it; needs no query when loaded with ``for_list`` and its tags."""
    return {
        "owner": row.owner.name,
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "category": row.category,
        "tags": sorted(tag.tag for tag in row.tag_rows.all()),
        "mode": row.mode,
        "visibility": row.visibility,
        "version": row.shown.version if row.shown else None,
        "digest": row.shown.digest if row.shown else None,
        "newest": row.newest.version if row.newest else None,
        "yanked": row.shown.is_yanked if row.shown else False,
        "measured": analytics.rate_of(row.measured_successes, row.measured_runs).to_json(),
        "simulated": analytics.rate_of(row.simulated_successes, row.simulated_runs).to_json(),
        "ranked": {"runs": row.ranked_runs, "successes": row.ranked_successes, "floor": row.success_floor},
        "rating": {"count": row.ratings_count, "shrunk": row.rating_shrunk if row.ratings_count else None},
        "emerging": row.is_emerging,
        "forks": row.forks_count,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "url": row_path(row),
    }


def row_path(row: Pattern) -> str:
    """The address of a pattern in the API."""
    return f"/api/v1/patterns/{row.owner.name}/{row.name}"


def version(row: PatternVersion) -> dict[str, Any]:
    """A version without its text."""
    return {
        "pattern": str(row.pattern),
        "version": row.version,
        "digest": row.digest,
        "semantic_digest": row.semantic_digest,
        "document_digest": row.document.digest,
        "script_number": row.script_number or None,
        "envelope": row.envelope,
        "mode": row.mode,
        "program_hash": row.program_hash or None,
        "title": row.title,
        "description": row.description,
        "author": row.author_name,
        "license": row.license,
        "inputs": row.inputs,
        "events": row.events,
        "capabilities": row.capabilities,
        "requires_profiles": row.requires_profiles,
        "success_when": row.success_when,
        "score": row.score,
        "adaptive_rules": row.adaptive_rules,
        "verification": row.verification,
        "claims": row.claims,
        "claim_flags": row.claim_flags,
        "published_by": row.published_by.get_username() if row.published_by else None,
        "published_via": row.published_via,
        "published_at": row.published_at,
        "provenance": row.provenance,
        "size_bytes": row.size_bytes,
        "yanked": yanked(row),
        "url": f"{row_path(row.pattern)}/versions/{row.version}",
    }


def yanked(row: PatternVersion) -> dict[str, Any] | None:
    """Why a version was withdrawn, None for one that was not."""
    if row.yanked_at is None:
        return None
    successor = str(row.successor) if row.successor else None
    return {"at": row.yanked_at, "reason": row.yank_reason, "successor": successor}


def version_line(row: PatternVersion) -> dict[str, Any]:
    """A version in a list of versions."""
    return {
        "version": row.version,
        "digest": row.digest,
        "mode": row.mode,
        "published_by": row.published_by.get_username() if row.published_by else None,
        "published_via": row.published_via,
        "published_at": row.published_at,
        "yanked": yanked(row),
        "channels": sorted(channel.name for channel in row.channels.all()),
    }


def profile(row: Profile) -> dict[str, Any]:
    """A stored profile or component."""
    return {
        "owner": row.owner.name,
        "name": row.name,
        "version": row.version,
        "component_type": row.component_type,
        "description": row.description,
        "document_digest": row.document.digest,
        "published_at": row.published_at,
    }


def published(answer: Published) -> dict[str, Any]:
    """What publishing gave."""
    return {
        "document": {
            "digest": answer.document.digest,
            "semantic_digest": answer.document.semantic_digest,
            "envelope": answer.document.envelope,
            "size_bytes": answer.document.size_bytes,
        },
        "patterns": [{**version(item.version), "created": item.created} for item in answer.versions],
        "profiles": [profile(row) for row in answer.profiles],
        "problems": [problem.to_json() for problem in answer.problems],
    }


def preview(answer: Preview) -> dict[str, Any]:
    """What publishing would give."""
    document = answer.reading.document
    return {
        "ok": answer.ok,
        "envelope": str(document.envelope) if document else None,
        "digest": document.digest if document else None,
        "semantic_digest": document.semantic_digest if document else None,
        "patterns": [preview_pattern(item) for item in answer.patterns],
        "profiles": [name for name, _, _ in answer.reading.profiles],
        "problems": [problem.to_json() for problem in answer.reading.problems],
    }


def preview_pattern(item: PatternPreview) -> dict[str, Any]:
    """One pattern of a preview."""
    return {
        "name": item.read.name,
        "title": item.read.title,
        "mode": item.read.mode,
        "digest": item.read.digest,
        "exists": item.exists,
        "same_as": item.same_as or None,
        "newest": item.newest or None,
        "bump": item.bump or None,
        "suggested_version": item.version,
        "reasons": list(item.reasons),
        "inputs": item.read.inputs,
        "events": item.read.events,
        "near_duplicates": [
            {"pattern": str(row.pattern), "version": row.version, "digest": row.digest} for row in item.near_duplicates
        ],
    }


def channel(row: Channel) -> dict[str, Any]:
    """A channel and where it stands."""
    return {
        "name": row.name,
        "version": row.version.version,
        "digest": row.version.digest,
        "protected": row.is_protected,
        "revision": row.revision,
        "moved_at": row.moved_at,
    }


def channel_move(row: ChannelMove) -> dict[str, Any]:
    """One move of a channel."""
    return {
        "from": row.from_version.version if row.from_version else None,
        "to": row.to_version.version,
        "by": row.moved_by.get_username() if row.moved_by else None,
        "via": row.via,
        "reason": row.reason,
        "at": row.moved_at,
    }


def rating(row: Rating) -> dict[str, Any]:
    """One person's rating."""
    return {
        "user": row.user.get_username(),
        "version": row.version.version,
        "stars": row.stars,
        "words": row.words,
        "ran_it": row.ran_it,
        "ranks": row.ranks,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def comment(row: Comment) -> dict[str, Any]:
    """One comment; a hidden one keeps its place without its text."""
    return {
        "id": row.pk,
        "user": row.user.get_username() if row.user else None,
        "version": row.version.version if row.version else None,
        "parent": row.parent_id,
        "text": "" if row.is_hidden else row.text,
        "hidden": row.is_hidden,
        "created_at": row.created_at,
    }


def report(row: Report) -> dict[str, Any]:
    """A report to the moderators."""
    return {
        "id": row.pk,
        "pattern": str(row.pattern),
        "rating": row.rating_id,
        "comment": row.comment_id,
        "reporter": row.reporter.get_username() if row.reporter else None,
        "reason": row.reason,
        "status": row.status,
        "note": row.note,
        "created_at": row.created_at,
        "resolved_at": row.resolved_at,
    }


def decision(row: Decision) -> dict[str, Any]:
    """One recorded decision."""
    return {
        "id": row.pk,
        "decision_type": row.decision_type,
        "context": row.context,
        "rationale": row.rationale,
        "outcome": row.outcome,
        "succeeded": row.succeeded,
        "confidence": row.confidence,
        "made_by": row.made_by,
        "source": row.source,
        "run": row.run_key,
        "made_at": row.made_at,
    }


def token(row: Token) -> dict[str, Any]:
    """A token without its secret, which nobody knows any more."""
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }


def owner(row: Owner) -> dict[str, Any]:
    """An owner."""
    return {"name": row.name, "kind": row.kind, "title": row.title, "created_at": row.created_at}


def draft(row: Draft) -> dict[str, Any]:
    """One's own draft with its text."""
    return {
        "id": row.pk,
        "owner": row.owner.name,
        "title": row.title,
        "file": row.file_name,
        "source": row.text,
        "revision": row.revision,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def audit_entry(row: AuditEntry) -> dict[str, Any]:
    """One entry of the audit log with its place in the chain."""
    return {
        "sequence": row.sequence,
        "at": row.at,
        "actor": row.actor_name,
        "via": row.via,
        "action": row.action,
        "subject": row.subject,
        "owner": row.owner_name,
        "detail": row.detail,
        "previous_hash": row.previous_hash,
        "hash": row.hash,
    }


def webhook(row: Webhook) -> dict[str, Any]:
    """A webhook without its secret."""
    return {
        "id": row.pk,
        "owner": row.owner.name,
        "url": row.url,
        "events": row.events,
        "active": row.is_active,
        "approved": row.is_approved,
        "created_at": row.created_at,
    }


def delivery(row: WebhookDelivery) -> dict[str, Any]:
    """One message to a webhook."""
    return {
        "id": row.pk,
        "event": row.event,
        "status": row.status,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "response_status": row.response_status,
        "last_error": row.last_error,
        "replay_of": row.replay_of_id,
        "created_at": row.created_at,
        "delivered_at": row.delivered_at,
    }
