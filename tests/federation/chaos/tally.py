"""
What all schedules of a run did together, whichever processes played them.

    tally = Tally(folder, of=range(20))       # a folder that all processes of the run share
    tally.add(7, moves, faults)
    tally.judge()                             # once all are there; before that it says nothing

Schedules are dealt out to the workers of a test run in any order, so the
judgement falls to whichever of them plays the last one.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.federation.chaos.proxy import WEIGHTS, Fault
from tests.federation.chaos.schedule import KINDS

PASSED_AT_LEAST = 0.25  # of all requests; else nothing would ever be exchanged on a bad day
REQUESTS_AT_LEAST = 50  # in a schedule, on average


class Tally:
    """The sums, kept in a file for each schedule."""

    def __init__(self, folder: Path, *, of: Iterable[int]) -> None:
        self.folder, self.seeds = folder, frozenset(of)
        self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, seed: int, moves: Mapping[str, int], faults: Mapping[Fault, int]) -> None:
        """A schedule ended well."""
        told = {"moves": dict(moves), "faults": {str(fault): times for fault, times in faults.items()}}
        temporary = self.folder / f"{seed}.{os.getpid()}.part"
        temporary.write_text(json.dumps(told))
        temporary.replace(self.folder / f"{seed}.json")

    def is_complete(self) -> bool:
        """Whether every schedule is there."""
        return self.seeds <= {int(path.stem) for path in self.folder.glob("*.json")}

    def sums(self) -> tuple[Counter[str], Counter[str]]:
        """How often each kind of move took effect, and each fault."""
        moves, faults = Counter[str](), Counter[str]()
        for seed in self.seeds:
            told = json.loads((self.folder / f"{seed}.json").read_text())
            moves.update(told["moves"])
            faults.update(told["faults"])
        return moves, faults

    def judge(self) -> None:
        """AssertionError where the schedules together lack a kind of move or of fault, or let too little through."""
        if not self.is_complete():
            return
        moves, faults = self.sums()
        assert not KINDS - set(+moves), f"no schedule has {sorted(KINDS - set(+moves))}"
        never = {str(fault) for fault in WEIGHTS} - set(+faults)
        assert not never, f"no request has suffered {sorted(never)}"
        passed, requests = faults[str(Fault.NONE)], faults.total()
        assert passed >= PASSED_AT_LEAST * requests, f"{passed} of {requests} requests passed unharmed"
        assert requests >= REQUESTS_AT_LEAST * len(self.seeds), (
            f"only {requests} requests in {len(self.seeds)} schedules"
        )
