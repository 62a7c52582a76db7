"""When experience becomes a proposal."""

import pytest

from registry.ranking.learning import proposal_for, rule_evidence
from registry.ranking.rates import Counts


class TestRuleEvidence:
    @pytest.mark.parametrize(
        ("good", "recurrences", "proposed"),
        [
            (2, 2, False),
            (3, 3, False),
            (4, 4, True),
            (8, 10, False),
            (9, 10, True),
            (50, 100, False),
            (0, 0, False),
        ],
    )
    def test_wants_three_recurrences_and_half_at_the_lower_end(self, good, recurrences, proposed):
        """Three of three have a Wilson lower bound of 0.44: not yet."""
        assert rule_evidence(good, recurrences).proposed is proposed


class TestProposal:
    @pytest.mark.parametrize(
        ("version", "parent", "proposal"),
        [
            ((9, 10), (7, 10), "merge"),
            ((17, 20), (14, 20), "fork"),
            ((8, 10), (5, 10), None),  # beats it, but is not good enough
            ((9, 10), (8, 10), None),  # good, but 12 % better only
            ((2, 2), (7, 10), None),  # too few runs
            ((10, 10), (2, 2), None),
            ((92, 100), (80, 100), "merge"),  # exactly 15 %
        ],
    )
    def test_follows_its_thresholds(self, version, parent, proposal):
        counts = (Counts(successes=k, runs=n) for k, n in (version, parent))

        assert proposal_for(*counts) == proposal
