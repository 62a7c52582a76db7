"""
Lenses at work: which are known here, what a pattern lacks, and the derived fork that a lens makes.

An event that nothing here acts upon is recorded and harms nothing, so names
count as missing only where a known lens says that they mean something else,
or where a function of the language is asked for that this hub has not.

Source: OPL-Fed/1, "Translation between contexts".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from federation.errors import NotFound, Unable
from federation.models import Statement
from federation.protocol import lens as lenses
from federation.protocol import translate
from federation.protocol.lens import Judgement, Lens, Vocabulary
from opl.document.security import POWERFUL
from opl.script.builtins import BUILTINS
from registry.models import LineageEdge, Owner, PatternVersion, User
from registry.services import publishing

FOLDER = Path(settings.BASE_DIR) / "library" / "lenses"


def known() -> tuple[Lens, ...]:
    """The lenses that ship, and those of admitted translation statements; one per name, ours first."""
    found = {lens.name: lens for lens in _received()} | {lens.name: lens for lens in _shipped()}
    return tuple(found.values())


def judgement(requires: Mapping[str, Any]) -> Judgement:
    """Whether a pattern with these requirements runs here."""
    wanted = Vocabulary.required(requires)
    at_hand = known()
    foreign_events = {name for lens in at_hand for name in lens.events} - POWERFUL
    foreign_roles = {name for lens in at_hand for name in lens.roles}
    targets = {new for lens in at_hand for new in (*lens.events.values(), *lens.roles.values())}
    here = Vocabulary(
        events=(wanted.events - foreign_events) | POWERFUL | targets,
        roles=(wanted.roles - foreign_roles) | targets,
        functions=frozenset(BUILTINS),
    )
    return lenses.judge(wanted, here, at_hand)


def apply(
    *, version: PatternVersion, lens_name: str, owner: Owner, user: User, now: datetime, name: str = "", via: str
) -> Any:
    """
    Publish what a lens makes of a version as a derived fork; the foreign object stays as it is.

    Raises:
        NotFound: no lens of that name is known.
        Unable: the text is no document that a lens can read.
        InvalidDocument, NotAllowed: as publishing.
    """
    lens = next((each for each in known() if each.name == lens_name), None)
    if lens is None:
        raise NotFound(f"lens {lens_name}")
    if not isinstance(version.value, dict) or not version.value:
        raise Unable(f"{version} is no document of keys and values; a lens cannot read it")
    made = translate.apply(lens, version.value, parent=version.digest)
    source = yaml.safe_dump(made.document, allow_unicode=True, sort_keys=False, width=100)
    return publishing.publish(
        owner=owner,
        user=user,
        source=source.encode("utf-8"),
        via=via,
        now=now,
        name=name or version.pattern.name,
        parents=((version.digest, LineageEdge.Op.TRANSLATE),),
        provenance={"lens": lens.name, "translated_from": str(version), "losses": list(made.losses)},
    )


@lru_cache(maxsize=1)
def _shipped() -> tuple[Lens, ...]:
    return tuple(lenses.read(json.loads(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.json")))


def _received() -> tuple[Lens, ...]:
    rows = Statement.objects.filter(kind="translation", is_announced=True, is_held_back=False).order_by("-pk")[:100]
    return tuple(lenses.read(row.predicate["lens"]) for row in rows)
