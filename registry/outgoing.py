"""
The one door for requests to other hosts: webhooks and peers go through it, nothing else goes out.

Always true of it: the host was approved by an administrator; its name is
resolved once, every address it has is public, and the connection goes to an
address that was checked, so that a name that changes its mind between check
and connect gains nothing; no redirect is followed; size and time are bounded;
no proxy or netrc of the environment is used.

    door = Door(resolver=system_resolver, approves=approved_hosts.__contains__)
    answer = door.request("POST", "https://hooks.example/opl", content=b"{}")

The agent backends of ``execution`` talk to addresses from the settings and do
not come through here.

Source: docs/spec 5.9; RFC 6890 and the IANA special-purpose registries.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from registry.errors import OutgoingFailed, OutgoingRefused

Resolver = Callable[[str, int], Sequence[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Global unicast of IPv6; what stands outside embeds IPv4 (mapped, compatible, NAT64), is local, or is not assigned.
_UNICAST6 = ipaddress.IPv6Network("2000::/3")
# Closed on our own account: Python's tables know these in some releases and not in others.
_CLOSED: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # relays of 6to4, deprecated
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")  # after IDNA; a resolver is asked for nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much one request may take."""

    connect_seconds: float = 3.0  # until the connection stands
    read_seconds: float = 10.0  # of silence while an answer is awaited
    total_seconds: float = 60.0  # from the first byte sent to the last one read
    body_bytes: int = 4 * 1024 * 1024 + 65536  # of the answer as it comes over the wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the other host said; the body as it came, content coding included."""

    status: int  # 100 to 599; a 3xx is answered to the caller, not followed
    headers: httpx2.Headers  # as received
    body: bytes  # raw


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Every address of ``host`` as this machine sees it; raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str, *, allow_loopback: bool = False) -> bool:
    """
    Whether an address may be connected to: a global unicast address written as itself.

    ``allow_loopback`` adds 127.0.0.0/8 and ::1, for the demo and for tests.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if getattr(address, "scope_id", None):
        return False
    if allow_loopback and address.is_loopback:
        return True
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST6:
        return False
    if any(address.version == network.version and address in network for network in _CLOSED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def parse_address(url: str) -> httpx2.URL:
    """The URL taken apart; raises OutgoingRefused for what is no plain http(s) address of a host."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError, UnicodeError) as error:
        raise OutgoingRefused(url[:200], "this is no address; write https://host/path") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise OutgoingRefused(url[:200], "write an https:// address with a host")
    if not _HOST.fullmatch(parsed.raw_host.decode("ascii")):
        raise OutgoingRefused(url[:200], "write an https:// address with a host")
    if parsed.userinfo:
        raise OutgoingRefused(parsed.host, "an address must not carry a user name or password")
    return parsed


def check_address(url: str, *, allow_loopback: bool = False) -> httpx2.URL:
    """
    What can be said about an address without resolving it; used when one is registered.

    Raises:
        OutgoingRefused: no https address, or a literal address that is not public.
    """
    parsed = parse_address(url)
    host = parsed.host.rstrip(".").lower()
    is_local_name = host == "localhost" or host.endswith(".localhost")
    if _is_numeric(host):
        if not is_public(host, allow_loopback=allow_loopback):
            raise OutgoingRefused(url, "this address is not public")
        is_loopback = ipaddress.ip_address(host).is_loopback
    else:
        is_loopback = is_local_name
    if is_loopback and not allow_loopback:
        raise OutgoingRefused(url, "this hub does not send requests to its own machine")
    if parsed.scheme == "http" and not is_loopback:
        raise OutgoingRefused(url, "use https; plain http is for loopback only")
    return parsed


def _is_numeric(host: str) -> bool:
    """Whether a host is an address in any of the spellings that resolvers accept (0x7f.1, 2130706433)."""
    if ":" in host:
        return True
    try:
        socket.inet_aton(host)
    except (OSError, UnicodeError, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Sends requests under the rules above; make one per process and share it."""

    approves: Callable[[str], bool]  # whether an administrator approved this host name
    resolver: Resolver = system_resolver  # host, port -> addresses
    allow_loopback: bool = False  # demo and tests only; a system check refuses it in production
    limits: Limits = Limits()
    clock: Callable[[], float] = time.monotonic  # seconds; only differences count
    ssl_context: ssl.SSLContext | None = None  # None: the usual certificate authorities
    transport: httpx2.BaseTransport | None = field(default=None)  # for tests: what sends in the end

    def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Answer:
        """
        One request and its whole answer.

        Raises:
            OutgoingRefused: the rules forbid it; no byte was sent.
            OutgoingFailed: no answer, or one that is too long or too slow.
        """
        limits = limits or self.limits
        parsed = self._approved(url)
        address = self._resolve(parsed)
        try:
            return self._send(method, parsed, address, content, dict(headers or {}), limits)
        except httpx2.HTTPError as error:
            raise OutgoingFailed(url, f"{type(error).__name__}: {error}"[:300]) from error

    def _approved(self, url: str) -> httpx2.URL:
        parsed = check_address(url, allow_loopback=self.allow_loopback)
        if not self.approves(parsed.host):
            raise OutgoingRefused(url, f"no administrator approved {parsed.host}")
        return parsed

    def _resolve(self, parsed: httpx2.URL) -> str:
        """The address to connect to; refused when any address of the name is not public."""
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        try:
            addresses = list(self.resolver(parsed.host, port))
        except (OSError, UnicodeError) as error:
            raise OutgoingFailed(str(parsed), f"the name {parsed.host} cannot be resolved") from error
        if not addresses:
            raise OutgoingFailed(str(parsed), f"the name {parsed.host} has no address")
        for address in addresses:
            if not is_public(address, allow_loopback=self.allow_loopback):
                raise OutgoingRefused(str(parsed), f"{parsed.host} resolves to {address}, which is not public")
        if parsed.scheme == "http" and not all(ipaddress.ip_address(a).is_loopback for a in addresses):
            raise OutgoingRefused(str(parsed), "use https; plain http is for loopback only")
        return addresses[0]

    def _send(
        self,
        method: str,
        parsed: httpx2.URL,
        address: str,
        content: bytes,
        headers: dict[str, str],
        limits: Limits,
    ) -> Answer:
        """Send to the checked address under the host's own name (Host header and TLS name)."""
        timeout = httpx2.Timeout(limits.read_seconds, connect=limits.connect_seconds)
        target = parsed.copy_with(host=address)
        named = {"Host": parsed.netloc.decode("ascii"), "Accept-Encoding": "identity", **headers}
        deadline = self.clock() + limits.total_seconds
        transport = self.transport or httpx2.HTTPTransport(verify=self.ssl_context or True, trust_env=False, retries=0)
        with (
            _Hangup(limits.total_seconds) as hangup,
            httpx2.Client(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False) as client,
        ):
            extensions = {"sni_hostname": parsed.host, "trace": hangup.watch}
            request = client.build_request(method, target, content=content, headers=named, extensions=extensions)
            try:
                response = client.send(request, stream=True)
                try:
                    body = self._read(response, parsed, limits, deadline)
                finally:
                    response.close()
            except httpx2.HTTPError as error:
                if hangup.is_over:
                    raise _too_slow(parsed, limits) from error
                raise
        return Answer(status=response.status_code, headers=response.headers, body=body)

    def _read(self, response: httpx2.Response, parsed: httpx2.URL, limits: Limits, deadline: float) -> bytes:
        body = bytearray()
        for part in response.iter_raw():
            body += part
            if len(body) > limits.body_bytes:
                raise OutgoingFailed(str(parsed), f"the answer is longer than {limits.body_bytes} bytes")
            if self.clock() > deadline:
                raise _too_slow(parsed, limits)
        return bytes(body)


def _too_slow(parsed: httpx2.URL, limits: Limits) -> OutgoingFailed:
    return OutgoingFailed(str(parsed), f"no complete answer within {limits.total_seconds:g} s")


class _Hangup:
    """
    Ends a connection when its time is over, whatever the other side does meanwhile.

    The client's own time-outs begin anew with every byte: a host that sends one
    byte of a header now and then would be listened to for days.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Hangup:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """The client's trace hook: remembers the connection once it stands, and what TLS makes of it."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._end()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)
