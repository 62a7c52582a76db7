"""Commands of the federation: one JSON object whatever happens, and an exit code that says whose fault it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from federation.models import ThisNode
from federation.protocol.tiers import Tier
from tests.federation.conftest import Remote
from tests.federation.services.test_exchange import publish, share


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Exit code and the one object that a command printed."""
    code = 0
    try:
        call_command(*arguments, "--json")
    except SystemExit as end:
        code = int(end.code or 0)
    (line,) = capsys.readouterr().out.strip().splitlines()
    return code, json.loads(line)


class TestJson:
    @pytest.mark.parametrize(
        ("arguments", "code", "name"),
        [
            (("peer", "sync"), 2, "command-line"),
            (("pull", "vote"), 2, "command-line"),
            (("author", "block"), 2, "command-line"),
            (("peer", "show", "nobody"), 1, "federation.no-such-peer"),
            (("peer", "add", "http://10.0.0.1"), 1, "registry.outgoing-refused"),
            (("author", "block", "opla1x"), 1, "federation.unable"),
            (("author", "unblock", "opla1" + "a" * 32), 1, "federation.not-found"),
            (("bundle", "import", "/nowhere/b"), 1, "federation.bad-bundle"),
            (("bundle", "export", "/nowhere/b"), 1, "federation.unable"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_is_printed_for_what_is_refused_too(
        self, node: ThisNode, capsys: Any, arguments: tuple[str, ...], code: int, name: str
    ) -> None:
        ended, told = run(capsys, *arguments)

        assert (ended, told["ok"], told["code"]) == (code, False, name)
        assert told["detail"]

    def test_is_printed_for_words_that_do_not_belong_to_the_peer(self, make_remote: Any, capsys: Any) -> None:
        remote = make_remote(tier=Tier.UNKNOWN)

        ended, told = run(capsys, "peer", "approve", remote.identity.id, "--fingerprint", "a b c d e f g h")

        assert (ended, told["code"]) == (1, "federation.wrong-fingerprint")
        assert remote.row.trust is Tier.UNKNOWN


class TestBundle:
    def test_says_whose_it_is_and_whether_that_is_proven(
        self, remote: Remote, tmp_path: Path, capsys: Any, node: ThisNode
    ) -> None:
        share(publish("open"))
        path = str(tmp_path / "b.zst")
        assert run(capsys, "bundle", "export", path)[1]["statements"] > 1

        ended, told = run(capsys, "bundle", "import", path)

        assert (ended, told["from"], told["signed"]) == (0, node.node_id, False), "it is no peer of itself"
        assert told["codes"] == {"schema-invalid": told["rejected"]}, "its own id is in via"


class TestBlockedAuthors:
    def test_are_listed_with_what_was_refused(self, remote: Remote, capsys: Any) -> None:
        remote.push(*remote.introduced())
        run(capsys, "author", "block", remote.author.id, "--reason", "copies")
        remote.push(remote.release())

        _, told = run(capsys, "author", "blocked")

        (row,) = told["blocked"]
        assert (row["author_id"], row["reason"], row["refused"]) == (remote.author.id, "copies", 1)
