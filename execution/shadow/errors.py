"""
What can go wrong around a trial, split by whose fault it is.

    ShadowError
    ├── PlanInvalid       the operator's plan cannot be run; names the field
    ├── PairConflict      one position was settled twice with different contents: a fault of ours
    ├── MergeRefused      two pieces of evidence do not belong together
    └── ReportRefused     a report was changed, is incomplete, or does not follow from its pairs
"""

from __future__ import annotations


class ShadowError(Exception):
    """Anything this package raises on purpose; ``code`` is stable, the text is for people."""

    code = "shadow.error"


class PlanInvalid(ShadowError):
    """A trial plan has a value that no trial can run with."""

    code = "shadow.plan.invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class PairConflict(ShadowError):
    """A position was settled twice, and not with the same contents."""

    code = "shadow.pair.conflict"

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position

    def __str__(self) -> str:
        return f"pair {self.position} is out of order, or was settled before with other contents"


class MergeRefused(ShadowError):
    """Evidence of different tests, or of overlapping inputs, was to be added."""

    code = "shadow.merge.refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ReportRefused(ShadowError):
    """A verification report is not what a trial wrote; ``reason`` is one of a few stable words."""

    code = "shadow.report.refused"

    def __init__(self, reason: str, message: str, pointer: str = "") -> None:
        super().__init__(reason, message, pointer)
        self.reason, self.message, self.pointer = reason, message, pointer

    def __str__(self) -> str:
        place = f"{self.pointer}: " if self.pointer else ""
        return f"{place}{self.message} [{self.reason}]"
