"""Every error of the house: a code of its own, text that helps, pickling through Celery, an HTTP answer, a place in its tree."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

import execution.errors
import federation.errors
import opl.errors
import registry.errors
from execution.shadow.errors import ShadowError
from federation.protocol.problems import FederationError
from hub import problems
from opl.errors import OplError, Problem
from tests.registry.factories import make_user

for package in ("opl", "registry.services", "execution.agents", "execution.services", "federation.protocol", "hub.mcp"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)

PROBLEM = Problem(code="opl.x", message="is wrong", line=3, column=4)
# What fits an argument of that name; everything else is told by its annotation.
NAMED: dict[str, Any] = {
    "problems": (PROBLEM,),
    "code": "replay",
    "conflicts": [{"pointer": "/a"}],
    "retry_after": 3,
    "line": 3,
    "column": 4,
}
ANNOTATED: dict[str, Any] = {"int": 3, "float": 0.5, "bool": True, "str": "words", "Sequence[str]": ("one", "two")}


def tree(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        if not child.__module__.startswith("tests"):
            yield from tree(child)


KINDS = sorted(
    {
        kind
        for root in (
            OplError,
            registry.errors.RegistryError,
            execution.errors.ExecutionError,
            ShadowError,
            FederationError,
        )
        for kind in tree(root)
    },
    key=lambda kind: (kind.__module__, kind.__name__),
)


def example(kind: type[Exception]) -> Exception:
    """An instance, its arguments made up by name or by annotation."""
    if kind.__init__ is Exception.__init__:
        return kind("words")
    made = []
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if parameter.name in NAMED:
            made.append(NAMED[parameter.name])
        elif parameter.default is parameter.empty:
            made.append(ANNOTATED.get(str(parameter.annotation).removesuffix(" | None"), "words"))
    return kind(*made)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestEveryError:
    def test_survives_pickling(self, kind: type[Exception]) -> None:
        error = example(kind)

        again = pickle.loads(pickle.dumps(error))

        assert (type(again), str(again), again.args) == (kind, str(error), error.args)

    def test_has_a_code_a_text_and_an_answer(self, kind: type[Exception]) -> None:
        error = example(kind)

        answer = problems.from_error(error)

        assert answer["code"]
        assert len(answer["detail"]) > 3
        assert 400 <= answer["status"] < 600
        assert kind.__doc__
        assert problems.is_ours(error) or not hasattr(kind, "status")

    def test_is_drawn_in_the_tree_of_its_package(self, kind: type[Exception]) -> None:
        trees = " ".join(
            str(module.__doc__)
            for module in (
                opl.errors,
                registry.errors,
                execution.errors,
                federation.errors,
                importlib.import_module(kind.__module__),
            )
        )

        assert kind.__name__ in trees


class TestCodes:
    def test_belong_to_one_class_or_its_children(self) -> None:
        """A child without a code of its own is the same problem to a client as its parent."""
        owners: dict[str, type[Exception]] = {}
        for kind in KINDS:
            code = vars(kind).get("code")
            if isinstance(code, str):
                assert owners.setdefault(code, kind) is kind, (code, kind, owners[code])


class TestMethods:
    @pytest.mark.django_db
    def test_that_an_address_does_not_take_are_answered_with_those_it_does(self) -> None:
        client = APIClient()
        client.force_authenticate(make_user())

        answer = client.delete("/api/v1/search")

        assert answer.status_code == 405
        assert answer.json()["detail"] == "this address takes GET, HEAD, OPTIONS"
