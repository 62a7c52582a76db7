"""
Many answers into one: votes, consensus, ranked choice, trimmed means.

Ballots are counted by what they print as, and the value that wins is the one
first written so. Null is no ballot; it is left out with a warning. Ties are
decided for the choice that was named first, and said in the result.
"""

from __future__ import annotations

from typing import Any

from opl.errors import BadArgument, TypeMismatch
from opl.script.builtins.base import (
    Context,
    Registry,
    group_name,
    items,
    number_argument,
    read_all,
)
from opl.script.builtins.numbers import gather, mean_of
from opl.script.values import divide, is_reply, with_article

registry = Registry("Aggregation")
builtin = registry.builtin

_MAX_CHOICES = 1000  # of one RANKED_CHOICE: every round counts each of them
_BALLOT_FIELDS = ("vote", "choice", "answer", "decision")


def ballots(context: Context, name: str, list_: Any, key: Any) -> tuple[dict[str, int], dict[str, Any]]:
    """How often each choice was named, in order of the first naming, and the choices themselves."""
    counts: dict[str, int] = {}
    named: dict[str, Any] = {}
    nulls = 0
    for _, element, said in read_all(context, name, list_, key):
        vote = said if key is not None else ballot(element)
        if vote is None:
            nulls += 1
            continue
        mark = group_name(vote)
        counts[mark] = counts.get(mark, 0) + 1
        named.setdefault(mark, vote)
    if nulls:
        context.warn("opl.run.null-skipped", f"{name} left out what is null")
    return counts, named


def ballot(element: Any) -> Any:
    """What an element votes for: its ``vote`` (choice, answer, decision), a reply's output, else itself."""
    if type(element) is not dict:
        return element
    for field in _BALLOT_FIELDS:
        if element.get(field) is not None:
            return element[field]
    return element["output"] if is_reply(element) else element


@builtin("VOTE", predicates=["key"])
def vote(context: Context, list_: Any, key: Any = None) -> dict[str, Any]:
    """
    Plurality: `{winner, counts, share, tie}`.

    `share` is the winner's part of the ballots, 0..1; on a tie the winner is
    the one that was named first. Without ballots the winner is null.
    """
    counts, named = ballots(context, "VOTE", list_, key)
    if not counts:
        return {"winner": None, "counts": {}, "share": 0, "tie": False}
    top = max(counts, key=counts.__getitem__)
    return {
        "winner": named[top],
        "counts": counts,
        "share": divide(counts[top], sum(counts.values())),
        "tie": sum(count == counts[top] for count in counts.values()) > 1,
    }


@builtin("CONSENSUS", predicates=["key"])
def consensus(context: Context, list_: Any, threshold: Any = 1, key: Any = None) -> dict[str, Any]:
    """
    Whether one choice has at least the share `threshold` (0..1): `{reached, value, share}`.

    `value` is the choice with the most ballots, reached or not.
    """
    least = number_argument("CONSENSUS", threshold)
    if not 0 <= least <= 1:
        raise BadArgument("CONSENSUS needs a threshold between 0 and 1")
    counted = vote(context, list_, key)
    reached = bool(counted["counts"]) and counted["share"] >= least
    return {"reached": reached, "value": counted["winner"], "share": counted["share"]}


@builtin("RANKED_CHOICE")
def ranked_choice(context: Context, ballots: Any) -> dict[str, Any]:
    """
    Instant run-off over ballots that list choices from the best to the worst: `{winner, rounds}`.

    Each round is `{counts, eliminated}`; of the choices with the fewest first
    places the one named last goes. Without ballots the winner is null.
    """
    rankings = [_ranking(each) for each in items(context, "RANKED_CHOICE", ballots)]
    named = {mark: choice for ranking in reversed(rankings) for mark, choice in reversed(ranking)}
    piles: dict[str, list[list[str]]] = {mark: [] for ranking in rankings for mark, _ in ranking}
    if len(piles) > _MAX_CHOICES:
        raise BadArgument(f"RANKED_CHOICE takes at most {_MAX_CHOICES} choices")
    for ranking in rankings:
        _deal([mark for mark, _ in reversed(ranking)], piles)
    rounds: list[dict[str, Any]] = []
    while piles:
        counts = {mark: len(pile) for mark, pile in piles.items()}
        top = max(counts, key=counts.__getitem__)
        if len(piles) == 1 or counts[top] * 2 > sum(counts.values()):
            rounds.append({"counts": counts, "eliminated": None})
            return {"winner": named[top], "rounds": rounds}
        loser = min(reversed(counts), key=counts.__getitem__)
        rounds.append({"counts": counts, "eliminated": named[loser]})
        for ballot in piles.pop(loser):
            _deal(ballot, piles)
    return {"winner": None, "rounds": rounds}


def _deal(ballot: list[str], piles: dict[str, list[list[str]]]) -> None:
    """Put a ballot, its best choice last, on the pile of the best choice that is left; used up, it goes."""
    while ballot:
        pile = piles.get(ballot[-1])
        if pile is not None:
            pile.append(ballot)
            return
        ballot.pop()


def _ranking(ballot: Any) -> list[tuple[str, Any]]:
    """The choices of one ballot as ``(mark, choice)``, the best first, repetitions left out."""
    if type(ballot) is dict:
        ballot = next((ballot[field] for field in ("ranking", "output") if field in ballot), ballot)
    if type(ballot) is not list:
        raise TypeMismatch(f"a ballot of RANKED_CHOICE is a list of choices, not {with_article(ballot)}")
    found: dict[str, Any] = {}
    for choice in ballot:
        if choice is not None:
            found.setdefault(group_name(choice), choice)
    return list(found.items())


@builtin("TRIMMED_MEAN", predicates=["key"])
def trimmed_mean(context: Context, list_: Any, share: Any = 0.1, key: Any = None) -> Any:
    """The mean without the share (0 up to 0.5) of smallest and of largest values; null without numbers."""
    part = number_argument("TRIMMED_MEAN", share)
    if not 0 <= part < 0.5:
        raise BadArgument("TRIMMED_MEAN needs a share of at least 0 and below 0.5")
    numbers, _ = gather(context, "TRIMMED_MEAN", list_, key)
    if not numbers:
        return None
    cut = int(len(numbers) * part)
    return mean_of(sorted(numbers)[cut : len(numbers) - cut])
