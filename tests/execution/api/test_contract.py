"""Runs and trials over HTTP keep their own description, whatever a client sends."""

from __future__ import annotations

from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from execution.services import starting
from tests.contract import answered_as_described, is_of_execution, operations
from tests.execution.api.test_runs import ASK, client_of
from tests.execution.factories import make_user, make_version
from tests.execution.trials import GOOD_ON, good_on, make_trial, next_version

OPERATIONS = operations(is_of_execution)


@override_settings(ROOT_URLCONF="tests.execution.urls")
class TestAnyRequest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        user = make_user(is_superuser=True)
        version = make_version(ASK, owner=user.own_owner, name="ask")
        self.run_of_root = starting.start(
            version=version, inputs={}, user=user, now=timezone.now(), backend="simulated"
        )
        control = good_on(4, owner=user.own_owner, name="vote")
        self.trial = make_trial(control, next_version(control, GOOD_ON.format(share=9)), 30, user=user)
        self.known = {
            "run_id": self.run_of_root.pk,
            "trial_id": self.trial.pk,
            "owner": user.username,
            "name": "ask",
        }
        self.client_of_root = client_of(user, "run", "verify", "publish", "read")

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def test_is_answered_as_described(self, data: st.DataObject) -> None:
        answered_as_described(self.client_of_root, data, OPERATIONS, self.known)
