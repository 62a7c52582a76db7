"""
Whether a release may take its place in the graph of descent.

Parents are source digests, and a source does not contain its parents'
digests, so signed statements can name each other in a ring. A ring would
break every walk over ancestors; it is refused where it would close, also
when the release that closes it is a parent that arrives late.

Source: OPL-Fed/1, "Statements".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from federation.protocol.problems import Refused

MOST_ANCESTORS = 100_000  # visited in one judgement; a bound on work, far above honest descent


def judge(digest: str, parents: Iterable[str], parents_of: Callable[[list[str]], Iterable[str]]) -> None:
    """
    That no parent descends from the release itself.

    Args:
        digest: of the release's source.
        parents: the source digests it names.
        parents_of: answers all parents that the known releases of these
            digests name, and may answer further ancestors with them; unknown
            digests have none. A database that answers all of them at once is
            asked twice, however deep the descent.

    Raises:
        Refused: ``lineage-cycle``.
    """
    generation, seen = set(parents), set[str]()
    while generation:
        if digest in generation:
            raise Refused("lineage-cycle", "one of its parents descends from this release")
        seen |= generation
        if len(seen) > MOST_ANCESTORS:
            raise Refused("lineage-cycle", f"it has more than {MOST_ANCESTORS} ancestors")
        generation = set(parents_of(sorted(generation))) - seen
