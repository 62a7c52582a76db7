"""The error tree: stable codes, text that helps, pickling through Celery, an HTTP answer each."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from hub import problems
from opl.errors import Problem
from registry import errors

EXAMPLES: dict[str, tuple[Any, ...]] = {
    "RegistryError": ("text",),
    "InvalidDocument": ((Problem(code="opl.x", message="wrong", line=3, column=4),),),
    "InvalidRequest": ("stars", "give 1 to 5"),
    "VersionDisagrees": ("1.0.0", "2.0.0"),
    "LineageCycle": ("a" * 64, "b" * 64),
    "NothingLearned": ("ada/vote",),
    "NotThere": ("pattern ada/vote",),
    "NotAllowed": ("you may not",),
    "Conflict": ("taken",),
    "VersionTaken": ("ada/vote", "1.0.0", "a" * 64, "1.0.1"),
    "NameTaken": ("taken",),
    "RowMoved": ("channel stable",),
    "KeyReused": (True,),
    "MergeConflicts": ([{"pointer": "/a"}],),
    "TooMany": ("comments", 60),
    "OutgoingRefused": ("https://x.example", "not public"),
    "OutgoingFailed": ("https://x.example", "timeout"),
}


def tree(kind: type[errors.RegistryError] = errors.RegistryError) -> Iterator[type[errors.RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == "registry.errors":
            yield from tree(child)


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
class TestEveryError:
    def test_survives_pickling(self, kind: type[errors.RegistryError]) -> None:
        error = kind(*EXAMPLES[kind.__name__])

        again = pickle.loads(pickle.dumps(error))

        assert (type(again), str(again), again.members) == (kind, str(error), error.members)

    def test_has_a_code_a_text_and_an_answer(self, kind: type[errors.RegistryError]) -> None:
        error = kind(*EXAMPLES[kind.__name__])

        answer = problems.from_error(error)

        assert error.code.startswith("registry.")
        assert len(str(error)) > 3
        assert 400 <= answer["status"] < 600
        assert answer["code"] == error.code
        assert problems.is_ours(error)

    def test_is_drawn_in_the_module_s_tree(self, kind: type[errors.RegistryError]) -> None:
        assert kind.__name__ in (errors.__doc__ or "")


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in tree()]

    assert len(codes) == len(set(codes))
