"""What changed between two documents, and the version bump that follows."""

from __future__ import annotations

import time

import pytest

from opl.document.diff import Way, diff, next_version, smallest_bump, unified
from opl.document.outline import outline


def ways(difference, section: str) -> list[tuple[str, str]]:
    return [(change.name, str(change.way)) for change in difference.of(section)]


class TestText:
    def test_is_a_unified_diff(self) -> None:
        assert unified("a\nb\nc", "a\nB\nc") == ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]

    def test_of_equal_texts_is_nothing(self) -> None:
        assert unified("a", "a") == []

    def test_of_huge_texts_stays_quick(self) -> None:
        one, other = "\n" * 120_000 + "a", "\n" * 120_000 + "b"
        started = time.perf_counter()

        lines = unified(one, other)

        assert lines[-2:] == ["-a", "+b"]
        assert time.perf_counter() - started < 2


class TestMeaning:
    def test_is_unchanged_by_layout_and_order(self, tournament, document) -> None:
        other = tournament.replace("tags: [tournament, ladder]", "tags:\n- tournament\n- ladder # best")

        difference = diff(document(tournament), document(other))

        assert difference.same_meaning
        assert difference.changes == ()
        assert difference.lines

    def test_names_rules_by_their_condition(self, tournament, document) -> None:
        other = tournament.replace("action: simpler", "action: stop").replace(
            '- condition: "variance(scores) < 0.1"', '- condition: "variance(scores) < 0.2"'
        )

        difference = diff(document(tournament), document(other))

        assert ways(difference, "rules") == [
            ("variance(scores) < 0.1", "removed"),
            ("timeouts > 2", "changed"),
            ("variance(scores) < 0.2", "added"),
        ]
        changed = difference.of("rules")[1]
        assert tournament.splitlines()[changed.old_line - 1].strip() == '- condition: "timeouts > 2"'

    def test_lists_inputs_events_tags_and_metadata(self, tournament, document) -> None:
        other = (
            tournament.replace("    rounds: {type: integer, default: 3}\n", "")
            .replace("completion:async", "human:ask")
            .replace("tags: [tournament, ladder]", "tags: [tournament, steps]\nmetadata: {domain: games}")
        )

        difference = diff(document(tournament), document(other))

        assert ways(difference, "inputs") == [("rounds", "removed")]
        assert ways(difference, "events") == [("completion:async", "removed"), ("human:ask", "added")]
        assert ways(difference, "words") == [("ladder", "removed"), ("steps", "added")]
        assert ways(difference, "metadata") == [("metadata.domain", "added")]

    def test_tells_unknown_keys_too(self, tournament, document) -> None:
        difference = diff(document(tournament), document(tournament + "x_mine: 1\n"))

        assert ways(difference, "other") == [("x_mine", "added")]


class TestScripts:
    @staticmethod
    def changes(old: str, new: str, document) -> list[tuple[str, str | None, str | None]]:
        found = diff(document(old), document(new)).of("scripts")
        return [(str(change.way), change.old, change.new) for change in found]

    def test_blanks_comments_and_line_breaks_are_no_change(self, document) -> None:
        old = "STATE a = {x: 1, y: [1, 2]}\nRETURN a\n"
        new = "# why\nSTATE a={\n  x: 1,  # one\n  y: [ 1,2 ],\n}\n\nRETURN a\n"

        assert self.changes(old, new, document) == []

    def test_a_statement_elsewhere_is_moved(self, document) -> None:
        old = "STATE a = 1\nSTATE b = 2\nSTATE c = 3\nWAIT 1\nRETURN a\n"
        new = "STATE b = 2\nSTATE c = 3\nWAIT 1\nSTATE a = 1\nRETURN a\n"

        assert self.changes(old, new, document) == [("moved", "STATE a=1", "STATE a=1")]

    def test_a_statement_moved_into_a_block_is_moved(self, document) -> None:
        old = "STATE a = 1\nIF a:\n  WAIT 1\nTRACK {a: a}\n"
        new = "STATE a = 1\nIF a:\n  WAIT 1\n  TRACK {a: a}\n"

        assert self.changes(old, new, document) == [("moved", "TRACK{a:a}", "TRACK{a:a}")]

    def test_two_alike_that_change_places_are_moved(self, document) -> None:
        old = 'STATE a = 1\nEVENT a:b {x: "one"}\nWAIT 5\nEVENT a:b {x: "two"}\nRETURN a\n'
        new = 'STATE a = 1\nEVENT a:b {x: "two"}\nWAIT 5\nEVENT a:b {x: "one"}\nRETURN a\n'

        assert {way for way, _, _ in self.changes(old, new, document)} == {"moved"}

    def test_a_reworded_statement_is_changed(self, document) -> None:
        old = "FOREACH x IN xs:\n  WAIT 1\n  TRACK {x: x}\n"
        new = "FOREACH x IN ys:\n  WAIT 2\n  TRACK {x: x}\n"

        assert self.changes(old, new, document) == [
            ("changed", "FOREACH x IN xs:", "FOREACH x IN ys:"),
            ("changed", "WAIT 1", "WAIT 2"),
        ]

    def test_added_and_removed_statements_are_told(self, document) -> None:
        old, new = "WAIT 1\nRETURN 1\n", "TRACK {a: 1}\nRETURN 1\n"

        assert self.changes(old, new, document) == [("removed", "WAIT 1", None), ("added", None, "TRACK{a:1}")]

    def test_words_inside_strings_keep_their_blanks(self) -> None:
        assert outline('TRACK {a: "x  #  y"}')[0].text == 'TRACK{a:"x  #  y"}'

    def test_deep_and_long_scripts_are_outlined(self) -> None:
        deep = "".join(" " * n + "IF a:\n" for n in range(500))

        assert sum(1 for root in outline(deep) for _ in root.walk()) == 500
        assert len(outline("WAIT 1\n" * 5_000)) == 5_000


class TestBump:
    @pytest.mark.parametrize(
        ("old", "new", "size"),
        [
            ("    rounds: {type: integer, default: 3}\n", "", "major"),
            ("default: 3}", "default: 3}\n    prize: {type: string, required: true}", "major"),
            ("default: 3}", "default: 3}\n    prize: {type: string}", "minor"),
            ("rounds: {type: integer, default: 3}", "rounds: {type: string, default: x}", "major"),
            ("{type: array, description: who plays}", "{type: array, default: []}", "minor"),
            ("rounds: {type: integer, default: 3}", "rounds: {type: number, default: 3}", "minor"),
            ("default: 3}", "default: 4}", "minor"),
            ('prompt: "play"', 'prompt: "play well"', "minor"),
            ("action: simpler", "action: stop", "minor"),
            ("difficulty + 1", "difficulty + 2", "minor"),
            ("min(4, rounds)", "min(5, rounds)", "minor"),
            ("description: who plays", "description: those who play", "patch"),
            ("rationale: the tests do", "rationale: tests do", "patch"),
            ("Close scores", "Near scores", "patch"),
            ("author: ada", "author: grace", "patch"),
            ("success_rate: 0.85", "success_rate: 0.9", "patch"),
            ("# A pattern of our own", "# One pattern of our own", "patch"),
        ],
    )
    def test_is_the_smallest_that_is_true(self, old, new, size, tournament, document) -> None:
        assert old in tournament

        bump = smallest_bump(document(tournament), document(tournament.replace(old, new)))

        assert bump.size == size, bump.reasons
        assert bump.reasons

    @pytest.mark.parametrize(
        ("old", "new", "size"),
        [
            ("STATE files = []\nRETURN files\n", "RETURN 1\n", "major"),
            ("STATE files = []\nRETURN files\n", "STATE files = []\nRETURN files + more\n", "major"),
            ("STATE files = []\nRETURN files\n", "STATE files = 'a'\nRETURN files\n", "major"),
            ("STATE files = []\nRETURN files\n", "STATE files = [1]\nRETURN files\n", "minor"),
            ("STATE files = []\nRETURN files\n", "STATE files = []\n# all\nRETURN files\n", "patch"),
        ],
    )
    def test_sees_the_inputs_that_a_script_shows(self, old: str, new: str, size: str, document) -> None:
        bump = smallest_bump(document(old), document(new))

        assert bump.size == size, bump.reasons

    def test_a_lost_script_is_major(self, document) -> None:
        old = "type: orchestration_pattern\nname: ab\nscripts:\n  one: |\n    WAIT 1\n  two: |\n    WAIT 2\n"
        new = old[: old.index("  two")]

        assert smallest_bump(document(old), document(new)).size == "major"

    @pytest.mark.parametrize(
        ("version", "size", "expected"),
        [
            ("1.2.3", "major", "2.0.0"),
            ("1.2.3", "minor", "1.3.0"),
            ("1.2.3", "patch", "1.2.4"),
            ("", "patch", "1.0.0"),
        ],
    )
    def test_gives_the_next_version(self, version: str, size: str, expected: str) -> None:
        assert next_version(version, size) == expected


def test_ways_are_words() -> None:
    assert [str(way) for way in Way] == ["added", "removed", "changed", "moved"]
