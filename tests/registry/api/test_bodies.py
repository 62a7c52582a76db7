"""Bodies of requests: known members only."""

from __future__ import annotations

import pytest
from rest_framework.exceptions import ValidationError

from registry.api.bodies import Body
from registry.api.shapes import PublishBody, TokenBody


class Empty(Body):
    """A request that takes nothing."""


def fault(shape: type[Body], body: object) -> dict[str, list[str]]:
    checked = shape(data=body)
    with pytest.raises(ValidationError) as raised:
        checked.is_valid(raise_exception=True)
    return dict(raised.value.detail)  # type: ignore[arg-type]


class TestBody:
    def test_refuses_a_member_that_nobody_reads(self) -> None:
        found = fault(TokenBody, {"name": "ci", "scopes": ["read"], "days": 3})

        assert list(found) == ["days"]
        assert "use name, scopes, expires_at" in found["days"][0]

    def test_says_which_member_was_meant(self) -> None:
        assert "did you mean 'source'" in fault(PublishBody, {"souce": "x"})["souce"][0]

    def test_says_when_it_takes_nothing(self) -> None:
        assert "empty object" in fault(Empty, {"now": True})["now"][0]

    def test_takes_what_it_knows(self) -> None:
        assert TokenBody(data={"name": "ci", "scopes": ["read"]}).is_valid()
