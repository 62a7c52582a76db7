"""Which schema an agent is asked for, inferred from what the script reads."""

from __future__ import annotations

from typing import Any

from opl.script import compile_script


def shapes(source: str) -> list[Any]:
    """The shapes of a script's events, in the order of the text, None where nothing is read."""
    program = compile_script(source).program
    assert program is not None
    return [each[-1] for each in program["instructions"] if each[0] == "event"]


def properties(source: str) -> Any:
    """The properties of the first shape."""
    found = shapes(source)[0]
    assert found["additionalProperties"] is False
    assert found["required"] == list(found["properties"])
    return found["properties"]


ASK = 'EVENT completion:async {agent_id: "a"} AS r\n'


class TestShapes:
    def test_of_an_answer_that_nobody_reads_is_none(self) -> None:
        """Also where only the result's own fields are read."""
        assert shapes(ASK) == [None]
        assert shapes(ASK + "STATE x = [r.output, r.success, r.agent_id]") == [None]

    def test_name_the_fields_that_are_read(self) -> None:
        """All required, none added."""
        assert properties(ASK + "STATE x = r.summary") == {"summary": {"type": "string"}}

    def test_tell_words_in_the_description_never_as_an_enum(self) -> None:
        """What a string is compared with is an example."""
        found = properties(ASK + 'IF r.vote == "approve": BREAK_OUT(1)\nSTATE x = r.vote != "reject"')

        assert found["vote"] == {"type": "string", "description": 'for example "approve" or "reject"'}

    def test_know_numbers_by_how_they_are_used(self) -> None:
        """Compared, averaged, calculated with."""
        source = ASK + "IF r.a > 1: STATE x = r.b * 2\nAPPEND all r\nSTATE m = AVERAGE(all, e.c)"

        assert properties(source) == {name: {"type": "number"} for name in "abc"}

    def test_know_conditions(self) -> None:
        """A field that is only a condition is a boolean."""
        assert properties(ASK + "IF r.done: STATE x = 1") == {"done": {"type": "boolean"}}

    def test_follow_lists_and_loops(self) -> None:
        """Through APPEND, FOREACH, predicates and AWAIT."""
        source = (
            'FOREACH a IN ["x"]:\n  SEND a "go"\nSTATE results = []\nAWAIT reply:\n  APPEND results reply\n'
            "FOREACH one IN results:\n  STATE s = one.score + 1\nSTATE best = SORT(results, r.rank DESC)\n"
        )

        assert properties(source) == {"score": {"type": "number"}, "rank": {"type": "number"}}

    def test_follow_objects_inside(self) -> None:
        """Nested fields and lists of objects."""
        source = ASK + "STATE x = r.plan.title\nFOREACH s IN r.steps:\n  STATE c = s.cost - 1"

        assert properties(source) == {
            "plan": {
                "type": "object",
                "properties": {"title": {"type": "string"}},
                "required": ["title"],
                "additionalProperties": False,
            },
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"cost": {"type": "number"}},
                    "required": ["cost"],
                    "additionalProperties": False,
                },
            },
        }

    def test_of_calls_in_expressions(self) -> None:
        """An answer that is measured has a score."""
        source = 'STATE e = spawn("x")\nSTATE n = [e.rate()]\nSTATE v = variance(parallel_map([e], judge))'

        assert shapes(source)[1:] == [
            None,
            {
                "type": "object",
                "properties": {"score": {"type": "number"}},
                "required": ["score"],
                "additionalProperties": False,
            },
        ]

    def test_end_for_a_list_within_itself(self) -> None:
        """What is linked to itself is finite all the same."""
        assert shapes(ASK + "UPDATE r.again = r\nSTATE x = r.again.again.again.name")[0]["type"] == "object"

    def test_of_events_after_the_last_await_are_their_own(self) -> None:
        """A final report is not asked for the fields of earlier replies."""
        source = 'SEND a "x"\nAWAIT r: STATE x = r.field\nSEND reporter "report"'

        assert shapes(source)[1] is None

    def test_of_judgements_are_those_of_the_answer_itself(self) -> None:
        """A list, a number, a condition."""
        source = "FOREACH t IN HARD_TASKS(1):\n  STATE x = t.name\nIF IS_GOOD(2): STATE y = SCORE_OF(3) - 1\nSTATE z = OTHER()"

        assert [shape and shape["type"] for shape in shapes(source)] == ["array", "boolean", "number", None]

    def test_of_a_limit_is_a_whole_number(self) -> None:
        """PARALLEL wants one."""
        found = properties(ASK + "PARALLEL(limit: r.workers):\n  WAIT 1")

        assert found["workers"]["type"] == "integer"


class TestBroadcasts:
    """Replies to a broadcast are asked for in the shape that is read of them."""

    def test_gathered_with_await_responses(self) -> None:
        program = compile_script(
            'broadcast_task("rate it", ["a", "b"])\n'
            'STATE got = await_responses(["a", "b"], 30)\n'
            'RETURN [AVERAGE(got, r => r.rating), COUNT(got, r => r.verdict == "keep")]'
        ).program
        assert program is not None

        (shape,) = program["shapes"].values()
        assert shape["properties"]["rating"] == {"type": "number"}
        assert shape["properties"]["verdict"]["type"] == "string"

    def test_taken_from_the_inbox(self) -> None:
        program = compile_script(
            'broadcast_task("rate it", ["a", "b"])\nAWAIT r TIMEOUT 5:\n  TRACK {rating: r.rating + 1}'
        ).program
        assert program is not None

        (shape,) = program["shapes"].values()
        assert shape["properties"] == {"rating": {"type": "number"}}

    def test_nothing_is_asked_for_where_only_the_receivers_are_read(self) -> None:
        program = compile_script('STATE sent = broadcast_task("go", ["a"])\nRETURN sent.sent_to').program
        assert program is not None

        assert program["shapes"] == {}

    def test_a_filter_of_await_says_what_is_needed(self) -> None:
        program = compile_script('SEND a "x"\nAWAIT {filter: {status: "ready"}, timeout: 5} AS r').program
        assert program is not None

        (shape,) = program["shapes"].values()
        assert shape["properties"] == {"status": {"type": "string", "description": 'for example "ready"'}}
