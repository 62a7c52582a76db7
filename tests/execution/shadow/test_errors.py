"""The error tree: codes, text and pickling."""

import doctest
import pickle
import pkgutil
from importlib import import_module

import pytest

import execution.shadow
from execution.shadow.errors import MergeRefused, PairConflict, PlanInvalid, ReportRefused, ShadowError

EXAMPLES = [
    PlanInvalid("alpha", "is too large"),
    PairConflict(7),
    MergeRefused("an input occurs twice"),
    ReportRefused("digest", "was changed", "/digest"),
]


class TestErrors:
    def test_are_all_shown_here(self):
        assert {type(error) for error in EXAMPLES} == set(ShadowError.__subclasses__())

    @pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.code)
    def test_have_a_code_a_text_and_survive_pickling(self, error):
        again = pickle.loads(pickle.dumps(error))

        assert (type(again), str(again)) == (type(error), str(error))
        assert error.code.startswith("shadow.") and str(error)

    def test_have_codes_of_their_own(self):
        assert len({error.code for error in EXAMPLES}) == len(EXAMPLES)


class TestExamples:
    def test_in_docstrings_are_true(self):
        for module in pkgutil.iter_modules(execution.shadow.__path__, "execution.shadow."):
            found = doctest.testmod(import_module(module.name))
            assert found.failed == 0, module.name
        assert doctest.testmod(execution.shadow).attempted > 0
