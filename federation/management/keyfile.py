"""
A key that stays with its author: a file on the author's own machine, and what is signed with it.

Nothing here asks a database or a network. The file holds both seeds, sealed
under a passphrase (argon2id, then NaCl secretbox), and the root documents,
which are public.

    made = create("correct horse"); write(path, made)
    key = unlocked(read(path), "correct horse")
    key.release(source, name="ada/vote", version="1.0.0", origin="opln1…", now=…)

Source: OPL-Fed/1, "Identity"; docs/decisions/0130.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from federation.errors import Refused, Unable
from federation.protocol import envelope, fields, keys, limits, root, strictjson
from federation.protocol import statement as statements
from federation.protocol.keys import SecretKey
from federation.protocol.kinds import WITHDRAWALS, Subject
from federation.protocol.root import Chain
from federation.protocol.statement import Statement
from federation.services import scanning
from registry.services import reading

FORMAT = "opl-author-key/1"
MOST_BYTES = 4 * limits.MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """What stands in the file."""

    salt: bytes  # of the passphrase; empty where the seeds are not sealed
    sealed: bytes  # {root, publish}: hex seeds as JSON, under the passphrase where there is a salt
    roots: tuple[Any, ...]  # complete DSSE envelopes of versions 1 to N

    @property
    def chain(self) -> Chain:
        """Its root documents, checked."""
        return Chain.follow([statements.read(envelope.opened(each), kind="root") for each in self.roots])

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "format": FORMAT,
            "author_id": self.chain.id,
            "salt": base64.b64encode(self.salt).decode(),
            "sealed": base64.b64encode(self.sealed).decode(),
            "roots": list(self.roots),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorKey:
    """An opened key: it can sign."""

    root: SecretKey
    publish: SecretKey
    chain: Chain

    def release(
        self,
        source: bytes,
        *,
        name: str,
        version: str,
        origin: str,
        now: int,
        parents: Sequence[str] = (),
        operation: str = "new",
        terms: str | None = None,
        topics: Sequence[str] = (),
        propagate: str = "public",
    ) -> Statement:
        """
        A signed release of a document, made without a node.

        Raises:
            Refused: the document is not safe, or a member not of the agreed form.
            Unable: the document is not one pattern.
        """
        predicate = release_predicate(source) | {
            "author": self.chain.id,
            "origin": origin,
            "name": name,
            "version": version,
            "lineage": {"parents": sorted(parents), "op": operation},
            "license": terms,
            "topics": list(topics),
            "propagate": propagate,
            "created": fields.written(now),
        }
        return self.prepared(predicate)

    def prepared(self, predicate: Mapping[str, Any]) -> Statement:
        """A release that a node prepared, signed; what it says is checked before."""
        if predicate.get("author") != self.chain.id:
            raise Unable(f"it was prepared for {predicate.get('author')}; this key is {self.chain.id}")
        subject = Subject(str(predicate.get("name")), str(predicate.get("source_digest")))
        signed = statements.sign("release", predicate, subject=subject, signers=[self.publish])
        scanning.open_release(signed.predicate)
        return signed

    def withdrawal(self, kind: str, target: str, *, reason: str, now: int, successor: str | None = None) -> Statement:
        """A signed yank, revocation or erasure of a release."""
        if kind not in WITHDRAWALS:
            raise Unable(f"{kind} is none of {', '.join(sorted(WITHDRAWALS))}")
        predicate = {
            "author": self.chain.id,
            "target": target,
            "reason": reason,
            "successor": successor,
            "created": fields.written(now),
        }
        return statements.sign(kind, predicate, subject=Subject("withdrawn", target), signers=[self.publish])


def create(passphrase: str) -> KeyFile:
    """A new author: two fresh keys and the first root document."""
    seeds = {"root": secrets.token_bytes(keys.SEED_BYTES), "publish": secrets.token_bytes(keys.SEED_BYTES)}
    root_key, publish = (SecretKey.from_seed(seeds[name]) for name in ("root", "publish"))
    document = root.predicate(
        owner="author",
        identity=keys.author_id([root_key.public], 1),
        version=1,
        threshold=1,
        root_keys=[root_key.public],
        publish=[publish.public],
    )
    return _sealed(seeds, passphrase, (_signed_root(document, [root_key]),))


def rotated(old: KeyFile, passphrase: str, *, now: int) -> KeyFile:
    """New keys for the same author; the old publish key retires at ``now`` (seconds since the epoch)."""
    key = unlocked(old, passphrase)
    seeds = {"root": secrets.token_bytes(keys.SEED_BYTES), "publish": secrets.token_bytes(keys.SEED_BYTES)}
    root_key, publish = (SecretKey.from_seed(seeds[name]) for name in ("root", "publish"))
    latest = key.chain.latest
    document = root.predicate(
        owner="author",
        identity=key.chain.id,
        version=latest.version + 1,
        threshold=1,
        root_keys=[root_key.public],
        publish=[publish.public],
        previous=latest.payload_sha256,
        retired=dict(latest.retired) | dict.fromkeys(latest.publish, now),
    )
    return _sealed(seeds, passphrase, (*old.roots, _signed_root(document, [key.root, root_key])))


def unlocked(file: KeyFile, passphrase: str) -> AuthorKey:
    """The key in a file; raises Unable for a wrong passphrase or keys that are not those of its root document."""
    try:
        plain = _box(passphrase, file.salt).decrypt(file.sealed) if file.salt else file.sealed
        seeds = {name: bytes.fromhex(value) for name, value in json.loads(plain).items()}
        root_key, publish = SecretKey.from_seed(seeds["root"]), SecretKey.from_seed(seeds["publish"])
    except CryptoError as error:
        raise Unable("that is not the passphrase of this key") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unable("the key file is damaged; take it from your backup") from error
    latest = file.chain.latest
    if root_key.public not in latest.root_keys or publish.public not in latest.publish:
        raise Unable("the keys in the file are not those of its newest root document")
    return AuthorKey(root=root_key, publish=publish, chain=file.chain)


def read(path: Path) -> KeyFile:
    """The file; raises Unable where it is none."""
    try:
        told = fields.obj(strictjson.loads(read_bytes(path)), "the key file")
        if told.get("format") != FORMAT or not isinstance(told.get("roots"), list):
            raise Unable(f"{path} does not say {FORMAT}")
        found = KeyFile(
            salt=fields.canonical_base64(told.get("salt"), "salt"),
            sealed=fields.canonical_base64(told.get("sealed"), "sealed"),
            roots=tuple(told["roots"]),
        )
        found.chain  # noqa: B018  a file whose documents prove nothing is refused at once
    except Refused as refused:
        raise Unable(f"{path} is no key file: {refused.detail}") from refused
    return found


def read_bytes(path: Path) -> bytes:
    """A file of bounded size; raises Unable where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unable(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise Unable(f"{path} is larger than {MOST_BYTES} bytes")
    return data


def write(path: Path, file: KeyFile, *, replaces: bool = False) -> None:
    """Readable by its owner only; an existing file is only overwritten by its own rotation, and never half."""
    if path.exists() and not replaces:
        raise Unable(f"{path} exists; a key is never overwritten")
    temporary = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(json.dumps(file.to_json(), indent=1).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise Unable(f"{path} cannot be written: {error.strerror}") from error


def release_predicate(source: bytes) -> dict[str, Any]:
    """What a release says that only its document decides."""
    document = scanning.open_safely(source)
    found = reading.read(source, known=())
    if not found.ok or len(found.patterns) != 1 or found.patterns[0].source != source:
        problem = next((str(each) for each in found.problems), "it does not hold exactly one pattern")
        raise Unable(f"the document cannot be released: {problem}")
    pattern = found.patterns[0]
    return {
        "source": source.decode("utf-8"),
        "source_digest": sha256(source).hexdigest(),
        "semantic_digest": document.semantic_digest,
        "requires": {
            "events": pattern.events[:1_000],
            "roles": pattern.profiles_needed[:1_000],
            "functions": sorted((pattern.program or {}).get("builtins") or ())[:1_000],
        },
        "learned_from": pattern.claims.get("learned_from"),
    }


def _signed_root(document: dict[str, Any], signers: Sequence[SecretKey]) -> dict[str, Any]:
    identity = str(document["author_id"])
    subject = Subject(identity, sha256(strictjson.dumps(document)).hexdigest())
    return statements.sign("root", document, subject=subject, signers=signers).envelope.to_json()


def _sealed(seeds: Mapping[str, bytes], passphrase: str, roots: tuple[Any, ...]) -> KeyFile:
    plain = json.dumps({name: seed.hex() for name, seed in seeds.items()}).encode()
    bare = KeyFile(salt=b"", sealed=plain, roots=roots)
    if not passphrase:
        return bare
    salt = secrets.token_bytes(pwhash.argon2id.SALTBYTES)
    return replace(bare, salt=salt, sealed=bytes(_box(passphrase, salt).encrypt(plain)))


def _box(passphrase: str, salt: bytes) -> SecretBox:
    if len(salt) != pwhash.argon2id.SALTBYTES:
        raise Unable("the key file is damaged; take it from your backup")
    key = pwhash.argon2id.kdf(
        SecretBox.KEY_SIZE,
        passphrase.encode(),
        salt,
        opslimit=pwhash.argon2id.OPSLIMIT_INTERACTIVE,
        memlimit=pwhash.argon2id.MEMLIMIT_INTERACTIVE,
    )
    return SecretBox(key)
