"""
Type-I error and power without simulation: an exact dynamic programme over wins and losses.

The programme carries the probability of every (W, L) that has not rejected yet
through 400 pairs, with a look after each. It is run twice, with the module's
own decision and with one written from the formula in NumPy; both must agree
with each other and with the figures kept here.
"""

import math

import numpy as np
import pytest

from execution.shadow.eprocess import Tally

ALPHA, PAIRS, MARGIN = 0.05, 400, 0.10
LOG_THRESHOLD = math.log(1 / ALPHA)


def independent_log_e(wins, losses, ties, null):
    """ln E from the formula of the specification, for whole arrays."""
    stakes = np.geomspace(0.03, 0.96, 14)
    prior = np.exp(-((np.log(stakes) - math.log(0.35)) ** 2) / (2 * 0.9**2))
    prior /= prior.sum()
    rate = stakes / (1 + null)
    logs = (
        wins[..., None] * np.log(1 + rate * (1 - null))
        + losses[..., None] * np.log(1 + rate * (-1 - null))
        + ties[..., None] * np.log(1 + rate * (0 - null))
        + np.log(prior)
    )
    top = logs.max(axis=-1)
    return top + np.log(np.exp(logs - top[..., None]).sum(axis=-1))


def independent_edges(null):
    """edges[n][l]: the fewest wins that reject after n pairs, l of them lost; n + 1 where none do."""
    edges = []
    for n in range(PAIRS + 1):
        wins, losses = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        rejects = independent_log_e(wins, losses, n - wins - losses, null) >= LOG_THRESHOLD
        rejects &= wins + losses <= n
        edges.append(np.where(rejects.any(axis=0), rejects.argmax(axis=0), n + 1))
    return edges


def module_edges(null):
    """The same from the module: each more loss takes no fewer wins, so the edge is walked upwards."""
    edges = []
    for n in range(PAIRS + 1):
        row, wins = np.full(n + 1, n + 1), 0
        for losses in range(n + 1):
            while wins + losses <= n and not rejects(wins, losses, n - wins - losses, null):
                wins += 1
            if wins + losses > n:
                break
            row[losses] = wins
        edges.append(row)
    return edges


def rejects(wins, losses, ties, null):
    return Tally(wins=wins, losses=losses, ties=ties).wealth(null).log_e >= LOG_THRESHOLD


def chance_of_rejecting(edges, win, loss):
    """P(ever rejecting within 400 pairs) when pairs are won and lost with these probabilities."""
    alive = np.zeros((PAIRS + 2, PAIRS + 2))
    alive[0, 0] = 1.0
    rejected, wins = 0.0, np.arange(PAIRS + 2)[:, None]
    for n in range(1, PAIRS + 1):
        after = alive * (1 - win - loss)
        after[1:, :] += win * alive[:-1, :]
        after[:, 1:] += loss * alive[:, :-1]
        edge = np.full(PAIRS + 2, PAIRS + 2)
        edge[: n + 1] = edges[n]
        over = wins >= edge[None, :]
        rejected += after[over].sum()
        alive = np.where(over, 0.0, after)
    return rejected


@pytest.fixture(scope="module", params=[0.0, -MARGIN], ids=["superiority", "noninferiority"])
def null_and_edges(request):
    return request.param, module_edges(request.param), independent_edges(request.param)


# (null, discordance) → chance of rejecting at the null, and at a candidate 10 points above it.
EXPECTED = {
    (0.0, 0.15): ("0.0204", "0.9986"),
    (0.0, 0.3): ("0.0267", "0.8870"),
    (0.0, 0.5): ("0.0306", "0.6490"),
    (-MARGIN, 0.15): ("0.0268", "0.9935"),
    (-MARGIN, 0.3): ("0.0309", "0.8724"),
    (-MARGIN, 0.5): ("0.0336", "0.6398"),
}


class TestErrorRates:
    def test_decision_is_the_formula_at_every_count(self, null_and_edges):
        _, module, independent = null_and_edges

        assert all((mine == theirs).all() for mine, theirs in zip(module, independent, strict=True))

    @pytest.mark.parametrize("discordance", [0.15, 0.3, 0.5])
    def test_are_exactly_these(self, null_and_edges, discordance):
        null, module, independent = null_and_edges
        found = []
        for mean in (null, null + 0.1):
            win, loss = (discordance + mean) / 2, (discordance - mean) / 2
            found.append(chance_of_rejecting(module, win, loss))
            assert found[-1] == pytest.approx(chance_of_rejecting(independent, win, loss), abs=1e-12)

        type_i_error, power = found
        assert type_i_error <= ALPHA
        assert (f"{type_i_error:.4f}", f"{power:.4f}") == EXPECTED[null, discordance]
