"""Three-way merge: what both sides may change, and what is a conflict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.document.lines import merge_lines
from opl.document.merge import merge, merged_document
from opl.document.rendering import dumped, value_of


class TestMerge:
    def test_takes_both_sides_and_keeps_every_comment(self, tournament, document) -> None:
        ours = tournament.replace("action: harder", "action: tougher")
        theirs = tournament.replace("RETURN scores", "RETURN SORT(scores)")

        result = merge(document(tournament), document(ours), document(theirs))

        assert result.conflicts == ()
        assert result.text == ours.replace("RETURN scores", "RETURN SORT(scores)")

    def test_merges_by_name_where_the_lines_collide(self, tournament, document) -> None:
        ours = tournament.replace("tags: [tournament, ladder]", "tags: [tournament, ladder, ours]")
        theirs = tournament.replace("tags: [tournament, ladder]", "tags: [theirs, ladder]")

        result = merge(document(tournament), document(ours), document(theirs))

        assert result.conflicts == ()
        merged = merged_document(result)
        assert merged is not None
        assert set(merged.tags) == {"theirs", "ladder", "ours"}
        assert result.text.startswith("# A pattern of our own for the tests.\n")
        assert merged.value["dsl"] == document(tournament).value["dsl"]

    def test_merges_rules_by_their_condition(self, tournament, document) -> None:
        ours = tournament.replace("action: simpler", "action: simpler\n      rationale: be kind")
        theirs = tournament.replace(
            '    - condition: "timeouts > 2"\n',
            '    - condition: "mean(scores) > 0.9"\n      action: stop\n    - condition: "timeouts > 2"\n',
        )

        merged = merged_document(merge(document(tournament), document(ours), document(theirs)))

        assert merged is not None
        assert [(rule.action, rule.rationale[:8]) for rule in merged.adaptive_rules] == [
            ("harder", "the test"),
            ("stop", ""),
            ("simpler", "be kind"),
        ]

    def test_takes_what_one_side_removed(self, tournament, document) -> None:
        theirs = tournament.replace("author: ada\n", "")

        merged = merged_document(merge(document(tournament), document(tournament), document(theirs)))

        assert merged is not None
        assert "author" not in merged.value

    def test_lists_a_conflict_and_keeps_ours(self, tournament, document) -> None:
        ours = tournament.replace("default: 3", "default: 4")
        theirs = tournament.replace("default: 3", "default: 5")

        result = merge(document(tournament), document(ours), document(theirs))

        (conflict,) = result.conflicts
        assert conflict.pointer == "/parameters/properties/rounds/default"
        assert (conflict.base, conflict.ours, conflict.theirs) == (3, 4, 5)
        assert ours.splitlines()[conflict.line - 1].strip().startswith("rounds")
        assert result.open_conflicts == result.conflicts
        merged = merged_document(result)
        assert merged is not None
        assert merged.inputs[1].default == 4

    def test_removal_against_change_is_a_conflict(self, tournament, document) -> None:
        ours = tournament.replace("author: ada\n", "")
        theirs = tournament.replace("author: ada", "author: grace")

        (conflict,) = merge(document(tournament), document(ours), document(theirs)).conflicts

        assert (conflict.pointer, conflict.ours, conflict.theirs) == ("/author", None, "grace")

    @pytest.mark.parametrize(("choice", "expected"), [("theirs", 5), ("ours", 4)])
    def test_a_decision_settles_it(self, choice: str, expected: int, tournament, document) -> None:
        ours = tournament.replace("default: 3", "default: 4")
        theirs = tournament.replace("default: 3", "default: 5")
        pointer = "/parameters/properties/rounds/default"

        result = merge(document(tournament), document(ours), document(theirs), choices={pointer: choice})

        assert result.open_conflicts == ()
        merged = merged_document(result)
        assert merged is not None
        assert merged.inputs[1].default == expected

    def test_scripts_merge_line_by_line(self, document) -> None:
        base = "STATE a = 1\nWAIT 1\nWAIT 2\nRETURN a\n"

        result = merge(
            document(base),
            document(base.replace("a = 1", "a = 2")),
            document(base.replace("RETURN a", "RETURN a + 1")),
        )

        assert result.text == "STATE a = 2\nWAIT 1\nWAIT 2\nRETURN a + 1\n"

    def test_colliding_scripts_are_a_numbered_conflict(self, document) -> None:
        base, ours, theirs = (document(f"STATE a = {n}\nRETURN a\n") for n in (1, 2, 3))

        result = merge(base, ours, theirs)
        decided = merge(base, ours, theirs, choices={"/text/1": "both"})

        assert [(c.pointer, c.ours, c.line) for c in result.conflicts] == [("/text/1", "STATE a = 2\n", 1)]
        assert decided.text == "STATE a = 2\nSTATE a = 3\nRETURN a\n"

    def test_of_one_document_is_itself(self, tournament, component, document) -> None:
        for text in (tournament, component, "STATE a = 1\nRETURN a\n"):
            one = document(text)

            assert merge(one, one, one).text == text


_LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=8)


@given(_LINES, _LINES)
def test_one_changed_side_always_wins(base: list[str], changed: list[str]) -> None:
    for chunks in (merge_lines(base, changed, base), merge_lines(base, base, changed)):
        assert [line for chunk in chunks for line in chunk.lines] == changed
        assert not any(chunk.conflict for chunk in chunks)


@given(_LINES, _LINES, _LINES)
def test_chunks_cover_all_three_sides(base: list[str], ours: list[str], theirs: list[str]) -> None:
    chunks = merge_lines(base, ours, theirs)

    assert [line for chunk in chunks for line in chunk.base] == base
    assert [line for chunk in chunks for line in chunk.ours] == ours
    assert [line for chunk in chunks for line in chunk.theirs] == theirs


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "yes",
        "1",
        "1.0",
        "null",
        "~",
        "a: b",
        "- x",
        "# c",
        "a\nb\n",
        "a\n\n",
        " x\ny",
        "x \ny",
        "{{a}}",
        "*a",
        "&a",
        "!x",
        "|",
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_what_is_written_reads_back_the_same(value: dict[str, object]) -> None:
    whole = {"type": "orchestration_pattern", **value}

    read_back = value_of(dumped(whole))

    assert read_back == whole
