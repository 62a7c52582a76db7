"""The API keeps its own description: whatever a client sends, no fault of ours, and answers as described."""

from __future__ import annotations

from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from registry.api import pinned
from tests.contract import DESCRIBED, answered_as_described, is_of_execution, is_of_federation, operations
from tests.registry.api.conftest import as_user
from tests.registry.factories import make_admin, make_version, record_runs

OPERATIONS = operations(lambda path: not is_of_execution(path) and not is_of_federation(path))


class TestDescription:
    def test_names_every_operation_once(self) -> None:
        names = [operation.definition.raw["operationId"] for operation in operations(lambda path: True)]

        assert len(names) == len(set(names))
        assert {"patterns_publish", "version_read", "version_source", "search", "check", "runs_start"} <= set(names)

    def test_is_openapi_3_1_with_a_bearer_token(self) -> None:
        assert DESCRIBED["openapi"].startswith("3.1")
        assert DESCRIBED["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert django_settings.SPECTACULAR_SETTINGS["OAS_VERSION"] == DESCRIBED["openapi"]

    def test_says_that_bodies_take_no_other_members(self) -> None:
        assert DESCRIBED["components"]["schemas"]["TokenBody"]["additionalProperties"] is False


class TestAnyRequest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        pinned.KEPT.clear()
        root = make_admin()
        self.version = make_version(user=root)
        record_runs(self.version, 2, 1)
        self.client_of_root = as_user(root, "admin")

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def test_is_answered_as_described(self, data: st.DataObject) -> None:
        known = {"owner": "root", "name": "vote", "version": "1.0.0", "other": "1.0.0"}

        answered_as_described(self.client_of_root, data, OPERATIONS, known)
