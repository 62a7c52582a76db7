"""
``manage.py author create|show|sign|withdraw|rotate …`` on the author's machine; ``register|prepare|submit|list|block|unblock|blocked …`` on the node.

    author create --key ada.key --out ada-root.json        your machine: no database is asked
    author register ada ada-root.json                      the node
    author sign vote.opl.yaml --key ada.key --name ada/vote --version 1.0.0 --origin opln1… --out release.json
    author submit release.json                             the node
"""

from __future__ import annotations

import getpass
import json
import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from federation.errors import Unable
from federation.management import keyfile
from federation.management.output import FederationCommand
from federation.protocol import strictjson
from federation.protocol.statement import Statement as Signed

OFFLINE = ("create", "show", "sign", "withdraw", "rotate")
ONLINE = ("register", "prepare", "submit", "list", "block", "unblock", "blocked")
PASSPHRASE = "OPL_AUTHOR_PASSPHRASE"  # noqa: S105  the name of a variable


class Command(FederationCommand):
    """Keys of authors, and whom this node takes nothing from."""

    help = "Keys that stay with their authors: make one, sign with it, hand the result to a node. And the block list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=(*OFFLINE, *ONLINE))
        parser.add_argument("subject", nargs="?", default="", help="a document, owner, version, statement or author id")
        parser.add_argument("file", nargs="?", default="", help="register: the root documents")
        parser.add_argument("--key", type=Path, default=None, metavar="FILE", help="the key file")
        parser.add_argument(
            "--out", type=Path, default=None, metavar="FILE", help="where the result goes; else printed"
        )
        parser.add_argument("--no-passphrase", action="store_true", help="create: keep the key unsealed")
        parser.add_argument("--name", default="", help="sign: handle/name")
        parser.add_argument("--release", dest="number", default="", help="sign: the version")
        parser.add_argument("--origin", default="", help="sign: the node that will announce it")
        parser.add_argument(
            "--parent", action="append", default=[], metavar="DIGEST", help="sign: what it descends from"
        )
        parser.add_argument("--op", default="new", help="sign: new, fork, merge, adapt or translate")
        parser.add_argument("--license", default=None)
        parser.add_argument("--topics", default="", help="sign: comma separated")
        parser.add_argument("--propagate", default="public", help="sign: none, peers, hops:n or public")
        parser.add_argument(
            "--kind",
            default="yank",
            help="withdraw: yank, revoke or erase; without --key of OWNER/NAME@VERSION, signed by the node",
        )
        parser.add_argument("--reason", default="", help="withdraw, block: why")

    def act(self, **options: Any) -> dict[str, Any]:
        """One call."""
        answer: dict[str, Any] = getattr(self, f"_{options['action']}")(options)
        return {"ok": True, "action": options["action"], **answer}

    # ---------------------------------------------------------------- on the author's machine

    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        path = self._key_path(options)
        made = keyfile.create("" if options["no_passphrase"] else self._passphrase(again=True))
        keyfile.write(path, made)
        return self._told(made, options)

    def _show(self, options: dict[str, Any]) -> dict[str, Any]:
        return self._told(keyfile.read(self._key_path(options)), options)

    def _rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        path = self._key_path(options)
        old = keyfile.read(path)
        made = keyfile.rotated(old, self._passphrase() if old.salt else "", now=_now())
        keyfile.write(path, made, replaces=True)
        return self._told(made, options)

    def _told(self, file: keyfile.KeyFile, options: dict[str, Any]) -> dict[str, Any]:
        chain = file.chain
        self._write(options["out"], {"roots": list(file.roots)})
        return {
            "author_id": chain.id,
            "fingerprint": chain.fingerprint,
            "root_version": chain.latest.version,
            "key": str(options["key"]),
            "out": str(options["out"] or ""),
        }

    def _sign(self, options: dict[str, Any]) -> dict[str, Any]:
        key, source = self._opened(options), keyfile.read_bytes(Path(self._needed(options, "subject")))
        prepared = _prepared(source)
        if prepared is not None:
            return self._signed(key.prepared(prepared), options)
        missing = [flag for flag in ("name", "number", "origin") if not options[flag]]
        if missing:
            raise CommandError("a document needs --name, --release and --origin; a prepared release has them")
        signed = key.release(
            source,
            name=options["name"],
            version=options["number"],
            origin=options["origin"],
            now=_now(),
            parents=options["parent"],
            operation=options["op"],
            terms=options["license"],
            topics=[each.strip() for each in options["topics"].split(",") if each.strip()],
            propagate=options["propagate"],
        )
        return self._signed(signed, options)

    def _withdraw(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["key"] is None:
            return self._withdraw_here(options)
        key = self._opened(options)
        target = self._needed(options, "subject")
        return self._signed(key.withdrawal(options["kind"], target, reason=options["reason"], now=_now()), options)

    def _signed(self, signed: Signed, options: dict[str, Any]) -> dict[str, Any]:
        self._write(options["out"], signed.envelope.to_json())
        told: dict[str, Any] = {"statement": signed.id, "kind": signed.kind, "author_id": signed.signer}
        if options["out"] is None:
            told["envelope"] = signed.envelope.to_json()
        return told | {"out": str(options["out"] or "")}

    def _opened(self, options: dict[str, Any]) -> keyfile.AuthorKey:
        file = keyfile.read(self._key_path(options))
        return keyfile.unlocked(file, self._passphrase() if file.salt else "")

    def _passphrase(self, *, again: bool = False) -> str:
        """From the environment, else asked for at the terminal."""
        given = os.environ.get(PASSPHRASE)
        if given is None:
            given = getpass.getpass("passphrase: ")
            if again and getpass.getpass("again: ") != given:
                raise Unable("these are two different passphrases")
        if not given:
            raise Unable(f"a passphrase is needed: set {PASSPHRASE}, or create the key with --no-passphrase")
        return given

    # ---------------------------------------------------------------- on the node

    def _register(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.services import authoring, storing
        from registry.services import finding

        owner = finding.owner(self._needed(options, "subject"))
        told = _read_json(Path(self._needed(options, "file")))
        roots = told.get("roots") if isinstance(told, dict) else None
        given = roots if isinstance(roots, list) else [told]
        row = authoring.register(owner, given, now=timezone.now(), user=self.person(options["user"]))
        storing.number()
        return {"owner": owner.name, "author_id": row.author_id}

    def _prepare(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.services import authoring
        from registry.services import finding

        version = finding.version(self._needed(options, "subject"), self.person(options["user"]))
        predicate = authoring.prepare(version, now=timezone.now())
        self._write(options["out"], {"release": predicate})
        told = {"version": str(version), "digest": version.digest, "out": str(options["out"] or "")}
        return told if options["out"] else told | {"release": predicate}

    def _submit(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.services import authoring, storing

        value = _read_json(Path(self._needed(options, "subject")))
        row = authoring.submit(value, now=timezone.now(), user=self.person(options["user"]))
        storing.number()
        row.refresh_from_db()
        return {"statement": row.statement_id, "kind": row.kind, "subject": row.subject_name, "seq": row.seq}

    def _withdraw_here(self, options: dict[str, Any]) -> dict[str, Any]:
        """Of an author whose key the node holds: OWNER/NAME@VERSION."""
        from federation.services import sharing, storing
        from registry.services import finding

        user = self.person(options["user"])
        version = finding.version(self._needed(options, "subject"), user)
        row = sharing.withdraw(version, kind=options["kind"], reason=options["reason"], now=timezone.now(), user=user)
        storing.number()
        return {"statement": row.statement_id, "kind": row.kind, "author_id": row.signer, "out": ""}

    def _list(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.models import Author
        from federation.services import identities

        own = set(identities.self_signing().values_list("pk", flat=True))
        return {
            "authors": [
                {"owner": row.owner.name, "author_id": row.author_id, "key": "author" if row.pk in own else "node"}
                for row in Author.objects.select_related("owner").order_by("owner__name")
            ]
        }

    def _block(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.services import blocking

        author = self._needed(options, "subject")
        refused = blocking.block(
            author, reason=options["reason"], now=timezone.now(), actor=self.person(options["user"])
        )
        return {"author_id": author, "refused": refused}

    def _unblock(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.services import blocking

        author = self._needed(options, "subject")
        return {
            "author_id": author,
            "accepted": blocking.unblock(author, now=timezone.now(), actor=self.person(options["user"])),
        }

    def _blocked(self, options: dict[str, Any]) -> dict[str, Any]:
        from federation.models import BlockedAuthor
        from federation.services import describing

        return {"blocked": describing.blocked_authors(BlockedAuthor.objects.select_related("blocked_by"))}

    # ---------------------------------------------------------------- shared

    def _needed(self, options: dict[str, Any], name: str) -> str:
        if not options[name]:
            raise CommandError(f"author {options['action']} needs its {name}; see --help", returncode=2)
        return str(options[name])

    def _key_path(self, options: dict[str, Any]) -> Path:
        if options["key"] is None:
            raise CommandError("name the key file with --key", returncode=2)
        return Path(options["key"])

    def _write(self, path: Path | None, value: Any) -> None:
        if path is None:
            return
        try:
            path.write_bytes(strictjson.dumps(value) + b"\n")
        except OSError as error:
            raise Unable(f"{path} cannot be written: {error.strerror}") from error

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What was made, and what to do next."""
        return _SAID[answer["action"]](answer)


def _now() -> int:
    return int(timezone.now().timestamp())


def _read_json(path: Path) -> Any:
    return strictjson.loads(keyfile.read_bytes(path))


def _prepared(source: bytes) -> dict[str, Any] | None:
    """The predicate in a file that a node prepared; None for a document."""
    if not source.lstrip().startswith(b"{"):
        return None
    try:
        told = json.loads(source)
    except ValueError:
        return None
    found = told.get("release") if isinstance(told, dict) else None
    return found if isinstance(found, dict) else None


def _key_lines(answer: dict[str, Any]) -> list[str]:
    lines = [f"author       {answer['author_id']}", f"fingerprint  {answer['fingerprint']}"]
    lines.append(f"root         version {answer['root_version']}")
    if answer["out"]:
        lines.append(f"Hand {answer['out']} to your node: `manage.py author register OWNER {answer['out']}`.")
    return lines


def _signed_lines(answer: dict[str, Any]) -> list[str]:
    if "envelope" in answer:
        return [json.dumps(answer["envelope"])]
    lines = [f"{answer['kind']} {answer['statement']}"]
    return [*lines, f"Hand it to your node: `author submit {answer['out']}`."] if answer["out"] else lines


def _prepared_lines(answer: dict[str, Any]) -> list[str]:
    if "release" in answer:
        return [json.dumps({"release": answer["release"]}, ensure_ascii=False)]
    return [f"{answer['version']} stands in {answer['out']}; sign it where the key is: `author sign {answer['out']}`."]


_SAID: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    **dict.fromkeys(("create", "show", "rotate"), _key_lines),
    **dict.fromkeys(("sign", "withdraw"), _signed_lines),
    "prepare": _prepared_lines,
    "register": lambda answer: [f"{answer['owner']} signs as {answer['author_id']}; the key stays with its author."],
    "submit": lambda answer: [f"{answer['kind']} of {answer['subject']} is announced as number {answer['seq']}."],
    "list": lambda answer: [
        f"{each['owner']:24} {each['author_id']}  key held by the {each['key']}" for each in answer["authors"]
    ],
    "block": lambda answer: [f"{answer['author_id']} is blocked; {answer['refused']} objects were refused."],
    "unblock": lambda answer: [f"{answer['author_id']} may send again; {answer['accepted']} were accepted at once."],
    "blocked": lambda answer: (
        [
            f"{each['author_id']}  {each['name'] or '-'}: {each['reason'] or 'no reason given'}"
            f" ({each['refused']} refused since)"
            for each in answer["blocked"]
        ]
        or ["No author is blocked."]
    ),
}
