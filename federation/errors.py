"""
What can go wrong around peers, split by whose fault it is.

    FederationError                    (federation.protocol.problems)
    ├── Refused                        a peer's message, or one item of it; closed table of codes
    ├── TransportFailure               no verified answer came
    ├── PeerRefused                    the peer refused, in a verified answer
    ├── PeerMisbehaved                 a verified answer breaks the protocol
    ├── NotFederable                   a document that no statement can carry
    ├── ImpossibleStep                 an event that does not apply to an object in quarantine
    ├── CursorMoved                    another exchange with this peer moved on meanwhile
    └── Unable                         what a person asked for here cannot be done
        ├── NoKeyring                  there is no key to encrypt signing keys with
        ├── NoIdentity                 this hub has no node identity yet
        ├── NoSuchPeer                 nobody of that name or address is known
        ├── NothingToSend              the pattern is not shared, with the reason
        ├── NotFound                   nothing of that name came from there
        ├── WrongFingerprint           the eight words do not belong to that node
        ├── SwitchedOff                the kill switch is on
        └── BadBundle                  a file that is no bundle

Each has a stable ``code``; those of ``Unable`` have an HTTP ``status`` for the API and pages.
"""

from __future__ import annotations

from federation.protocol.exchange import PeerMisbehaved, PeerRefused
from federation.protocol.problems import FederationError, NotFederable, Refused, TransportFailure
from federation.protocol.quarantine import ImpossibleStep

__all__ = [
    "BadBundle",
    "FederationError",
    "ImpossibleStep",
    "NoIdentity",
    "NoKeyring",
    "NoSuchPeer",
    "NotFederable",
    "NotFound",
    "NothingToSend",
    "PeerMisbehaved",
    "PeerRefused",
    "Refused",
    "SwitchedOff",
    "TransportFailure",
    "Unable",
    "WrongFingerprint",
]


class Unable(FederationError):
    """What a person asked for cannot be done; the text says what to do instead."""

    code = "federation.unable"
    status = 409


class NoKeyring(Unable):
    """HUB_KEY_ENCRYPTION_KEY is missing, or is not the one the keys were sealed with."""

    code = "federation.no-keyring"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"signing keys cannot be used: {self.reason}; set HUB_KEY_ENCRYPTION_KEY"


class NoIdentity(Unable):
    """This hub has no node id yet."""

    code = "federation.no-identity"

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return "this hub has no node identity yet; create one with `manage.py node create`"


class NoSuchPeer(Unable):
    """Nobody of that name, id or address."""

    code = "federation.no-such-peer"
    status = 404

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return f"there is no peer {self.wanted[:200]!r}; `manage.py peer list` shows all, `peer add URL` adds one"


class NothingToSend(Unable):
    """The version does not leave this node."""

    code = "federation.nothing-to-send"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject, self.reason = subject, reason

    def __str__(self) -> str:
        return f"{self.subject} does not leave this node: {self.reason}"


class NotFound(Unable):
    """Nothing of that name is here."""

    code = "federation.not-found"
    status = 404

    def __init__(self, subject: str, hint: str = "look at the peer's list and mind the spelling") -> None:
        super().__init__(subject, hint)
        self.subject, self.hint = subject, hint

    def __str__(self) -> str:
        return f"{self.subject[:300]} is not here; {self.hint}"


class WrongFingerprint(Unable):
    """The words that were told are not those of the node that answered."""

    code = "federation.wrong-fingerprint"

    def __init__(self, told: str, found: str) -> None:
        super().__init__(told, found)
        self.told, self.found = told, found

    def __str__(self) -> str:
        return f"that node's fingerprint is {self.found!r}, not {self.told!r}; do not trust it before you know why"


class SwitchedOff(Unable):
    """Federation is switched off on this node."""

    code = "federation.switched-off"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"federation is switched off here ({self.reason or 'no reason given'}); `manage.py node resume` turns it on"
        )


class BadBundle(Unable):
    """A file that cannot be read as a bundle."""

    code = "federation.bad-bundle"
    status = 422

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"this is no bundle: {self.reason}; write one with `manage.py bundle export`"
