"""
The outgoing door against every way to write an address: no connection is opened to the inside, whatever the spelling.

One table, through a resolver of our own that reads literals as the system's
does (numbers in any base, short forms) and names as a hostile zone file would.
What counts is what was connected to, not what was said.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import outgoing
from registry.errors import OutgoingFailed, OutgoingRefused
from registry.outgoing import Door

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1:248:1893:25c8:1946"

# What each kind of inner address looks like, written plainly.
INSIDE = {
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.8.9.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"],
    "link-local": ["169.254.0.1", "169.254.169.254", "fe80::1", "fe80::a9fe:a9fe", "febf::1"],
    "link-local with a zone": ["fe80::1%eth0", "fe80::1%1", "fe80::1%lo", "::1%lo"],
    "shared (CGNAT)": ["100.64.0.1", "100.127.255.255"],
    "unique local": ["fc00::1", "fd00::1", "fdff:ffff::1"],
    "site-local": ["fec0::1", "feff::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1", "ff05::1:3"],
    "broadcast": ["255.255.255.255"],
    "reserved": ["240.0.0.1", "254.1.1.1", "192.0.0.8", "192.0.0.171", "192.88.99.1", "100::1", "5f00::1", "4000::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:a00:1", "::ffff:169.254.169.254"],
    "mapped, of a public one": ["::ffff:93.184.216.34"],
    "compatible": ["::127.0.0.1", "::7f00:1", "::10.0.0.1"],
    "translated": ["::ffff:0:127.0.0.1", "::ffff:0:a00:1"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::5db8:d822"],
    "local NAT64": ["64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff::a00:1", "64:ff9b:1:7f00:0:100::"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2002:5db8:d822::1"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:7f00:1::"],
    "ORCHID and other protocol space": ["2001:10::1", "2001:20::1", "2001:1::1"],
}
PLAIN = [(kind, address) for kind, addresses in INSIDE.items() for address in addresses]

# Hosts of an address bar that mean the inside without looking like it.
SPELLINGS = {
    "decimal": ["2130706433", "3232235777", "2852039166", "0", "4294967295"],
    "hexadecimal": ["0x7f000001", "0X7F000001", "0x7f.0x0.0x0.0x1", "0xa9fea9fe", "0x0"],
    "octal": ["017700000001", "0177.0.0.1", "0177.0.0.01", "00000000177.0.0.1", "012.0.0.1"],
    "short": ["127.1", "127.0.1", "10.1", "192.168.257", "169.254.43518", "0x7f.1", "0177.1"],
    "mixed bases": ["0x7f.0.0.1", "0177.0x0.0.1", "10.0x1.02.3"],
    "trailing dot": ["127.0.0.1.", "2130706433.", "localhost.", "0x7f.1."],
    "names of this machine": ["localhost", "LOCALHOST", "foo.localhost", "a.b.localhost."],
    "fullwidth digits": ["１２７.０.０.１", "１２７．０．０．１", "２１３０７０６４３３", "０x７f.１"],
    "circled and other digits": ["①②⑦.⓪.⓪.①", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "¹²⁷.⁰.⁰.¹", "١٢٧.٠.٠.١"],
    "other full stops": ["127。0。0。1", "127｡0｡0｡1", "127．0．0．1", "localhost。"],
    "fullwidth letters": ["ｌｏｃａｌｈｏｓｔ", "LOCALHOST", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"],
    "invisible characters": ["127.0.0.1\u200b", "local\u00adhost", "127\u2060.0.0.1"],
    "percent signs": ["%31%32%37.0.0.1", "127%2e0%2e0%2e1", "localhost%00.example.org", "%6c%6f%63%61%6c%68%6f%73%74"],
    "brackets": ["[::1]", "[::ffff:127.0.0.1]", "[::]", "[fe80::1%25eth0]", "[::1%25lo]", "[0:0:0:0:0:0:0:1]",
                 "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[fe80::1%eth0]"],
    "brackets that hold something else": ["[127.0.0.1]", "[localhost]", "[::1", "::1", "[v1.x]"],
    "user names": ["example.org@127.0.0.1", "93.184.216.34:443@127.0.0.1", "a:b@localhost", "127.0.0.1@example.org",
                   "@127.0.0.1", "example.org%40127.0.0.1"],
    "other ends of the host": ["127.0.0.1#@example.org", "127.0.0.1?@example.org", "127.0.0.1\\@example.org",
                               "127.0.0.1;example.org", "127.0.0.1\t", "127.0.0.1 example.org", "127.0.0.1\n"],
    "ports": ["127.0.0.1:443", "127.1:22", "[::1]:443", "localhost:5432", "127.0.0.1:", "127.0.0.1:0443"],
}  # fmt: skip
WRITTEN = [(kind, host) for kind, hosts in SPELLINGS.items() for host in hosts]


def literal(host: str, port: int) -> list[str]:
    """A host that is an address in any spelling the C library reads, as the system's resolver answers it."""
    if ":" in host:
        bare, _, zone = host.partition("%")
        return [str(ipaddress.IPv6Address(bare)) + (f"%{zone}" if zone else "")]
    named = host.encode("idna").decode("ascii")  # as Python's getaddrinfo spells a name before it asks
    return [socket.inet_ntoa(socket.inet_aton(named.rstrip(".")))]


class Zone:
    """A resolver: literals as above, ``localhost`` as usual, and names as a test says; it counts what it is asked."""

    def __init__(self, **names: Sequence[str]) -> None:
        self.names = {"example.org": [PUBLIC], "localhost": ["127.0.0.1", "::1"], **names}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        name = host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):
            return self.names["localhost"]
        if name in self.names:
            return self.names[name]
        try:
            return literal(host, port)
        except (OSError, ValueError, UnicodeError):
            raise OSError("no such name") from None


class Wire:
    """Where the door would connect to, noted instead of done."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.reached: list[str] = []

    def transport(self) -> httpx2.MockTransport:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.reached.append(request.url.host)
            return httpx2.Response(self.status, headers=self.headers, stream=httpx2.ByteStream(b"ok"))

        return httpx2.MockTransport(answer)


def opened(url: str, zone: Callable[[str, int], Sequence[str]], *, allow_loopback: bool = False) -> list[str]:
    """The hosts that were connected to when this address was asked for; every host is approved."""
    wire = Wire()
    door = Door(approves=lambda host: True, resolver=zone, transport=wire.transport(), allow_loopback=allow_loopback)
    with contextlib.suppress(OutgoingRefused, OutgoingFailed):
        door.request("GET", url)
    return wire.reached


class TestASpelling:
    @pytest.mark.parametrize("scheme", ["https", "http"])
    @pytest.mark.parametrize(("kind", "host"), WRITTEN)
    def test_of_the_inside_opens_no_connection(self, kind: str, host: str, scheme: str) -> None:
        assert opened(f"{scheme}://{host}/fed/v1/status", Zone()) in ([], [PUBLIC]), kind

    @pytest.mark.parametrize(("kind", "host"), [each for each in WRITTEN if "example.org" not in each[1]])
    def test_without_a_public_name_in_it_opens_none_at_all(self, kind: str, host: str) -> None:
        assert opened(f"https://{host}/", Zone()) == [], kind

    @pytest.mark.parametrize(("kind", "address"), PLAIN)
    def test_of_a_plain_inner_address_opens_none(self, kind: str, address: str) -> None:
        host = f"[{address.replace('%', '%25')}]" if ":" in address else address

        assert opened(f"https://{host}/", Zone()) == [], kind


class TestAName:
    @pytest.mark.parametrize(("kind", "address"), PLAIN)
    def test_that_leads_inside_opens_no_connection(self, kind: str, address: str) -> None:
        assert opened("https://evil.example/", Zone(**{"evil.example": [address]})) == [], kind

    @pytest.mark.parametrize(("kind", "address"), PLAIN)
    @pytest.mark.parametrize("public", [PUBLIC, PUBLIC6])
    def test_that_leads_inside_and_outside_opens_none(self, kind: str, address: str, public: str) -> None:
        for answers in ([address, public], [public, address]):
            assert opened("https://evil.example/", Zone(**{"evil.example": answers})) == [], kind

    def test_that_leads_outside_is_reached_at_the_checked_address(self) -> None:
        assert opened("https://evil.example/", Zone(**{"evil.example": [PUBLIC, PUBLIC6]})) == [PUBLIC]
        assert opened("https://evil.example/", Zone(**{"evil.example": [PUBLIC6]})) == [PUBLIC6]

    @pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
    def test_that_changes_after_the_check_gains_nothing(self, inner: str) -> None:
        answers: Iterator[list[str]] = iter([[PUBLIC], [inner], [inner], [inner]])

        assert opened("https://evil.example/", lambda host, port: next(answers)) == [PUBLIC]

    def test_is_resolved_once_for_a_request(self) -> None:
        zone = Zone()
        opened("https://example.org/", zone)

        assert zone.asked == ["example.org"]

    @pytest.mark.parametrize("answers", [[], [""], ["not an address"], ["999.1.1.1"], ["93.184.216.34/32"]])
    def test_with_an_answer_that_is_none_opens_none(self, answers: list[str]) -> None:
        assert opened("https://evil.example/", Zone(**{"evil.example": answers})) == []


class TestARedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("target", ["http://127.0.0.1/", "https://localhost/", "//[::1]/", "https://evil.example/"])
    def test_is_answered_and_not_followed(self, status: int, target: str) -> None:
        wire = Wire(status, location=target)
        door = Door(approves=lambda host: True, resolver=Zone(), transport=wire.transport())

        answer = door.request("GET", "https://example.org/")

        assert (answer.status, wire.reached) == (status, [PUBLIC])


class TestLoopbackForTheDemo:
    @pytest.mark.parametrize("url", ["http://127.0.0.1:8001/", "http://localhost/", "https://[::1]/"])
    def test_opens_this_machine_and_nothing_beside_it(self, url: str) -> None:
        assert len(opened(url, Zone(), allow_loopback=True)) == 1

    @pytest.mark.parametrize(
        ("kind", "address"), [(kind, each) for kind, each in PLAIN if kind != "loopback" and each != "::1%lo"]
    )
    def test_opens_no_other_inner_address(self, kind: str, address: str) -> None:
        zone = Zone(**{"evil.example": [address]})

        assert opened("https://evil.example/", zone, allow_loopback=True) == [], kind


NETWORKS4 = [ipaddress.IPv4Network(each) for each in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)]  # fmt: skip
PREFIXES6 = [ipaddress.IPv6Network(each) for each in (
    "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)]  # fmt: skip


@st.composite
def inner4(draw: st.DrawFn) -> int:
    """An IPv4 address of the inside, as a number."""
    network = draw(st.sampled_from(NETWORKS4))
    return int(network.network_address) + draw(st.integers(0, network.num_addresses - 1))


@st.composite
def spelled4(draw: st.DrawFn) -> str:
    """One of the many ways to write it: any base for each part, and any number of parts."""
    number, parts = draw(inner4()), draw(st.integers(1, 4))
    heads = [(number >> (24 - 8 * place)) & 0xFF for place in range(parts - 1)]
    values = [*heads, number & ((1 << (8 * (5 - parts))) - 1)]
    written = [draw(st.sampled_from([str, hex, lambda value: f"0{value:o}", lambda value: f"0X{value:X}"]))(value)
               for value in values]  # fmt: skip
    return ".".join(written) + draw(st.sampled_from(["", "."]))


@st.composite
def inner6(draw: st.DrawFn) -> str:
    """An IPv6 address of the inside: in a network that is, or with any IPv4 address embedded."""
    network = draw(st.sampled_from(PREFIXES6))
    address = ipaddress.IPv6Address(int(network.network_address) + draw(st.integers(0, network.num_addresses - 1)))
    return draw(st.sampled_from([str(address), address.exploded, str(address).upper()]))


class TestAnyAddressOfTheInside:
    @given(spelled4())
    def test_in_any_spelling_opens_no_connection(self, host: str) -> None:
        assert opened(f"https://{host}/", Zone()) == []

    @given(inner6())
    def test_of_the_longer_kind_opens_none(self, address: str) -> None:
        assert opened(f"https://[{address}]/", Zone()) == []
        assert opened("https://evil.example/", Zone(**{"evil.example": [address]})) == []

    @given(inner4(), st.sampled_from(PREFIXES6[:5]))
    def test_embedded_in_the_longer_kind_opens_none(self, number: int, network: ipaddress.IPv6Network) -> None:
        address = str(ipaddress.IPv6Address(int(network.network_address) + number))

        assert opened(f"https://[{address}]/", Zone()) == []

    @given(st.text(max_size=40))
    def test_and_any_text_as_a_host_opens_none(self, host: str) -> None:
        assert set(opened(f"https://{host}/", Zone())) <= {PUBLIC} | _public_literal(host)


def _public_literal(host: str) -> set[str]:
    """Where a drawn text happens to be a public address: that one may be reached."""
    try:
        found = literal(host.partition("/")[0].partition(":")[0], 443)
    except (OSError, ValueError, UnicodeError):
        return set()
    return {each for each in found if outgoing.is_public(each)}


def test_what_reads_literals_here_reads_what_the_system_reads() -> None:
    """The resolver above stands for getaddrinfo: whatever that takes for an address, this does, and for the same."""
    read = 0
    for _, host in WRITTEN:
        bare = host.removeprefix("[").removesuffix("]").rstrip(".")
        try:
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(bare, 443, flags=socket.AI_NUMERICHOST)}
        except (OSError, UnicodeError, ValueError):
            continue
        assert _numbers(literal(bare, 443)) == _numbers(found), host
        read += 1
    assert read > 25


def _numbers(addresses: Iterable[str]) -> set[int]:
    """Addresses without their zones, whatever the spelling."""
    return {int(ipaddress.ip_address(each.partition("%")[0])) for each in addresses}
