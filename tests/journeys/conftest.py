"""Journeys go through the whole house: what a process remembers of rows is forgotten with them."""

from tests.execution.conftest import _fresh_process

__all__ = ["_fresh_process"]
