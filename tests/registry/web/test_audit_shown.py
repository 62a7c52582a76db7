"""The audit log in words."""

from __future__ import annotations

from datetime import UTC, datetime

from registry.models import AuditEntry
from registry.web.audit_shown import ShownEntry, shown_entries

WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def shown(action: str = "version.published", subject: str = "ada/vote@1.0.0", **detail: object) -> ShownEntry:
    [line] = shown_entries([AuditEntry(sequence=1, at=WHEN, action=action, subject=subject, detail=detail)])
    return line


class TestShownEntries:
    def test_say_the_action_in_words(self) -> None:
        assert shown("federation.kept-back").what == "federation kept back"

    def test_lead_to_the_version_or_the_pattern(self) -> None:
        assert shown().href == "/patterns/ada/vote/?version=1.0.0"
        assert shown(subject="ada/vote").href == "/patterns/ada/vote/"
        assert shown(subject="ada/vote:stable").href == ""

    def test_cut_keys_and_digests(self) -> None:
        line = shown(subject="opln1yrmbe2l5lgh56f3irx4co7v56xn2rqvs", digest="ab" * 32, scopes=["read", "run"])

        assert line.about == "opln1yrmbe2l…"
        assert line.details == [("digest", "abababababab…"), ("scopes", "read, run")]

    def test_leave_out_what_is_empty(self) -> None:
        assert shown(reason="", successor=None, to=3).details == [("to", "3")]

    def test_read_what_is_no_object(self) -> None:
        [line] = shown_entries([AuditEntry(sequence=1, at=WHEN, action="x", subject="y", detail=["a"])])

        assert line.details == []
