"""
Tournaments: who meets whom, and how good each is.

Players are strings, or objects with an ``id``, ``agent_id`` or ``name``; in
ratings they go by that name.

Source: Elo, "The Rating of Chessplayers" (1978); Hunter, "MM Algorithms for
Generalized Bradley-Terry Models", Annals of Statistics 32 (2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opl.errors import BadArgument, TypeMismatch
from opl.script.builtins.base import Context, Registry, list_argument, number_argument
from opl.script.builtins.numbers import finite
from opl.script.values import check_length, to_text, with_article

registry = Registry("Tournaments")
builtin = registry.builtin

_START_RATING = 1500  # of a player whom ELO does not know yet
_MAX_RATED = 200  # players whose strengths BRADLEY_TERRY estimates: each round looks at every pair
_MAX_PAIRED = 10_000  # players of one SWISS_PAIRING


def player_name(player: Any) -> str:
    """The name a player goes by in ratings and standings."""
    if type(player) is dict:
        for field in ("id", "agent_id", "name", "player"):
            if player.get(field) is not None:
                return to_text(player[field])
    return to_text(player)


@builtin("ROUND_ROBIN")
def round_robin(context: Context, players: Any) -> list[Any]:
    """
    Every pair `[a, b]` of players once, round after round.

    The order is that of the circle method: each player plays once in a round,
    so the first pairs can run at the same time.
    """
    circle: list[Any] = list(list_argument(context, "ROUND_ROBIN", players))
    check_length(len(circle) * (len(circle) - 1) // 2)
    bye = object()
    if len(circle) % 2:
        circle.append(bye)
    half = len(circle) // 2
    matches: list[Any] = []
    for _ in range(len(circle) - 1):
        rows = zip(circle[:half], reversed(circle[half:]), strict=True)
        matches.extend([a, b] for a, b in rows if a is not bye and b is not bye)
        circle.insert(1, circle.pop())
    return matches


@builtin("SWISS_PAIRING")
def swiss_pairing(context: Context, players: Any, standings: Any = None) -> list[Any]:
    """
    The pairs `[a, b]` of the next round: neighbours in the standings who have not met, where that is possible.

    `standings` maps players to points, or to `{points, opponents}`, or lists
    objects `{player, points, opponents}`. An odd player out, the last who had
    no bye as far as is known, is in no pair.
    """
    table = _standings(standings)
    waiting = sorted(list_argument(context, "SWISS_PAIRING", players), key=lambda player: -table.points(player))
    if len(waiting) % 2:
        waiting.remove(table.bye(waiting))
    pairs: list[Any] = []
    while waiting:
        first = waiting.pop(0)
        met = table.opponents(first)
        place = next((at for at, other in enumerate(waiting) if player_name(other) not in met), 0)
        pairs.append([first, waiting.pop(place)])
    return pairs


class _Standings:
    """Points and past opponents by player's name."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self._rows = rows

    def points(self, player: Any) -> float:
        row = self._rows.get(player_name(player), 0)
        if type(row) is dict:
            row = next((row[field] for field in ("points", "score", "wins") if row.get(field) is not None), 0)
        return 0 if row is None else number_argument("SWISS_PAIRING", row)

    def opponents(self, player: Any) -> set[str]:
        row = self._rows.get(player_name(player))
        met = row.get("opponents") if type(row) is dict else None
        return {player_name(each) for each in met} if type(met) is list else set()

    def bye(self, waiting: list[Any]) -> Any:
        """The lowest who has met as many as anyone, so has sat out least; else the last."""
        most = max(len(self.opponents(player)) for player in waiting)
        return next(player for player in reversed(waiting) if len(self.opponents(player)) == most)


def _standings(value: Any) -> _Standings:
    if value is None:
        return _Standings({})
    if type(value) is dict:
        return _Standings(value)
    if type(value) is list and all(type(row) is dict for row in value):
        return _Standings({_row_name(row): row for row in value})
    raise TypeMismatch(f"SWISS_PAIRING needs standings as an object or a list of objects, not {with_article(value)}")


def _row_name(row: dict[str, Any]) -> str:
    return player_name(row["player"]) if row.get("player") is not None else player_name(row)


@builtin("ELO")
def elo(_context: Context, ratings: Any, result: Any, k: Any = 32) -> dict[str, Any]:
    """
    The ratings after a game, or after a list of games.

    A game is `{winner, loser}`, with `draw: true` for a draw, `{a, b, score}` with
    a's score 0..1, or the pair `[winner, loser]`. Who has no rating yet starts at 1500; `k` is the most
    that one game can move.
    """
    if ratings is not None and type(ratings) is not dict:
        raise TypeMismatch(f"ELO needs ratings as an object of numbers, not {with_article(ratings)}")
    step = number_argument("ELO", k)
    table: dict[str, Any] = dict(ratings or {})
    single = type(result) is not list or (len(result) == 2 and all(type(each) is str for each in result))
    for each in [result] if single else result:
        first, second, score = game("ELO", each)
        a, b = (number_argument("ELO", table.get(name, _START_RATING)) for name in (first, second))
        expected = 1 / (1 + 10 ** max(-300, min(300, (b - a) / 400)))
        change = step * (score - expected)
        table[first] = finite(lambda a=a, change=change: a + change)  # type: ignore[misc]
        table[second] = finite(lambda b=b, change=change: b - change)  # type: ignore[misc]
    return table


def game(name: str, value: Any) -> tuple[str, str, float]:
    """
    One game as (first player, second player, the first one's score 0..1).

    Raises:
        TypeMismatch, BadArgument: no game.
    """
    if type(value) is list and len(value) == 2:
        value = {"winner": value[0], "loser": value[1]}
    if type(value) is not dict:
        raise TypeMismatch(f"{name} needs a game {{winner, loser}} or {{a, b, score}}, not {with_article(value)}")
    if value.get("winner") is not None and value.get("loser") is not None:
        first, second, score = value["winner"], value["loser"], 0.5 if value.get("draw") else 1.0
    elif value.get("a") is not None and value.get("b") is not None:
        first, second, score = value["a"], value["b"], float(number_argument(name, value.get("score", 0.5)))
    else:
        raise BadArgument(f"{name} needs a game with winner and loser, or with a, b and score")
    if not 0 <= score <= 1:
        raise BadArgument(f"{name} needs a score between 0 and 1")
    if player_name(first) == player_name(second):
        raise BadArgument(f"{name} needs a game between two players")
    return player_name(first), player_name(second), score


@builtin("BRADLEY_TERRY")
def bradley_terry(context: Context, results: Any) -> dict[str, Any]:
    """
    The strengths of the players of a list of games, adding up to 1.

    A player of strength p beats one of strength q with probability p / (p + q).
    One imagined draw against an average player keeps those who always win or
    always lose finite.
    """
    games = [game("BRADLEY_TERRY", each) for each in list_argument(context, "BRADLEY_TERRY", results)]
    wins: dict[str, float] = {}
    meetings: dict[str, dict[str, int]] = {}
    for first, second, score in games:
        wins[first] = wins.get(first, 0.5) + score
        wins[second] = wins.get(second, 0.5) + 1 - score
        for one, other in ((first, second), (second, first)):
            row = meetings.setdefault(one, {})
            row[other] = row.get(other, 0) + 1
    if len(wins) > _MAX_RATED:
        raise BadArgument(f"BRADLEY_TERRY takes at most {_MAX_RATED} players")
    strengths = _strengths(wins, meetings)
    whole = sum(strengths.values())
    return {name: finite(lambda s=strength: s / whole) for name, strength in strengths.items()}  # type: ignore[misc]


def _strengths(wins: Mapping[str, float], meetings: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The MM iteration, beside a player of fixed strength 1 whom each met once in a draw."""
    strengths = dict.fromkeys(wins, 1.0)
    for _ in range(200):
        renewed = {
            name: won
            / (
                1 / (strengths[name] + 1)
                + sum(n / (strengths[name] + strengths[other]) for other, n in meetings[name].items())
            )
            for name, won in wins.items()
        }
        moved = max((abs(renewed[name] - strengths[name]) / strengths[name] for name in wins), default=0.0)
        strengths = renewed
        if moved < 1e-10:
            break
    return strengths
