"""The table of builtins as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opl.errors import LimitExceeded, ScriptError
from opl.script.builtins import BUILTINS, METHODS
from opl.script.builtins.__main__ import table
from opl.script.values import Function, equal, normalise
from tests.opl.script.bench import Bench, reply
from tests.opl.script.test_values import JSON_VALUES

SPECIFIED = frozenset(
    """
RANGE LENGTH LEN KEYS VALUES ENTRIES FILTER MAP EXTRACT SORT REVERSE UNIQUE FLATTEN SLICE
CONTAINS GROUP_BY DISTINCT COUNT ANY ALL FIRST LAST CHUNK ZIP MERGE SELECT_MAX SELECT_MIN
SELECT_TOP COMBINATIONS INTERSECTION DIFFERENCE MOST_COMMON SUM AVERAGE MEAN MEDIAN
VARIANCE STDEV MIN MAX WEIGHTED_MEAN PERCENTILE ROUND FLOOR CEIL ABS SQRT LOG EXP POW
CLAMP UPPER LOWER TRIM SPLIT JOIN REPLACE STARTS_WITH ENDS_WITH MATCHES JSON.STRINGIFY
JSON.PARSE TIMESTAMP NOW ELAPSED RANDOM RANDOM_CHOICE SHUFFLE SAMPLE GAUSSIAN UUID
GENERATE_TASKS APPEND CONDITIONAL IF DURATION ELAPSED_TIME INDEX COUNT_BY SELECT_BEST VOTE
CONSENSUS RANKED_CHOICE TRIMMED_MEAN ROUND_ROBIN SWISS_PAIRING ELO BRADLEY_TERRY
""".split()  # noqa: SIM905
)

ARGUMENTS = st.one_of(
    JSON_VALUES,
    st.lists(st.integers(-5, 5) | st.none() | st.floats(-10, 10), max_size=5),
    st.lists(st.sampled_from(["approve", "reject", None]), max_size=5),
    st.lists(st.builds(lambda s: reply(score=s), st.floats(0, 1)), max_size=3),
    st.integers(-3, 6),
    st.sampled_from(["a", "score", "DESC", "[a-z]+", "(", "", {"winner": "a", "loser": "b"}]),
)


def _constant(value: object) -> Function:
    return Function(1, lambda _element: value)


class TestBuiltins:
    def test_has_every_name_of_the_language(self) -> None:
        assert set(BUILTINS) >= SPECIFIED

    @pytest.mark.parametrize("name", sorted(BUILTINS))
    def test_describes_itself(self, name: str) -> None:
        builtin = BUILTINS[name]

        assert builtin.name == name
        assert builtin.doc.endswith((".", ")"))
        assert builtin.signature.startswith(name)
        assert all(0 <= place < len(builtin.keywords) for place in builtin.predicates)

    @pytest.mark.parametrize("name", sorted(BUILTINS))
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_gives_a_value_or_a_script_error_for_any_arguments(self, name: str, data: st.DataObject) -> None:
        builtin = BUILTINS[name]
        most = builtin.max_args if builtin.max_args is not None else builtin.min_args + 2
        count = data.draw(st.integers(builtin.min_args, most))
        arguments = [normalise(data.draw(ARGUMENTS)) for _ in range(count)]
        before = normalise(arguments)
        for place in builtin.predicates & set(range(count)):
            arguments[place] = _constant(arguments[place]) if data.draw(st.booleans()) else arguments[place]

        try:
            result = builtin.call(Bench(), *arguments)
        except (ScriptError, LimitExceeded) as error:
            assert str(error)
        else:
            assert equal(normalise(result), result)
        assert all(type(a) is Function or equal(a, b) for a, b in zip(arguments, before, strict=True))

    @pytest.mark.parametrize("name", sorted(METHODS))
    @settings(max_examples=15, deadline=None)
    @given(data=st.data())
    def test_methods_give_a_value_or_a_script_error(self, name: str, data: st.DataObject) -> None:
        method = METHODS[name]
        most = method.max_args if method.max_args is not None else method.min_args + 2
        count = data.draw(st.integers(method.min_args, most))
        receiver, *arguments = [normalise(data.draw(ARGUMENTS)) for _ in range(count + 1)]
        before = normalise(receiver)

        try:
            result = method.call(Bench(), receiver, *arguments)
        except (ScriptError, LimitExceeded) as error:
            assert str(error)
        else:
            for each in result if method.mutates else [result]:
                assert equal(normalise(each), each)
        assert equal(receiver, before)

    def test_knows_predicates_and_keywords(self) -> None:
        assert BUILTINS["SELECT_TOP"].keywords["by"] == 2
        assert BUILTINS["SELECT_TOP"].keywords["key"] == 2
        assert BUILTINS["SELECT_TOP"].predicates == {2}
        assert BUILTINS["MAX"].key_needs_list
        assert not BUILTINS["RANDOM"].pure
        assert BUILTINS["SUM"].pure


class TestTable:
    def test_lists_every_builtin_and_method(self) -> None:
        text = table()

        shown = text.replace("JSON.stringify", "JSON.STRINGIFY").replace("JSON.parse", "JSON.PARSE")
        assert all(f"`{name}" in shown for name in BUILTINS)
        assert all(f"`.{name}" in text or f"`{name}`" in text for name in METHODS)
