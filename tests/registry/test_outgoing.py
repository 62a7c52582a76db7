"""The one outgoing door: what it refuses in every spelling, and that it connects to what it checked."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import OutgoingFailed, OutgoingRefused
from registry.outgoing import Door, Limits, check_address, is_public

PUBLIC = "93.184.216.34"


def everybody(host: str) -> bool:
    return True


def streamed(body: bytes = b"", status: int = 200, **headers: str) -> httpx2.Response:
    """An answer that is read from a stream, as a real one is."""
    return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))


def door(*addresses: str, **options: object) -> Door:
    """A door whose names all resolve to ``addresses``, over a transport that answers 200."""
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return streamed(b"ok")

    values = {"approves": everybody, "transport": httpx2.MockTransport(answer)} | options
    made = Door(resolver=lambda host, port: list(addresses), **values)  # type: ignore[arg-type]
    SENT[id(made)] = sent
    return made


SENT: dict[int, list[httpx2.Request]] = {}


class TestIsPublic:
    @pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
    def test_is_true_for_ordinary_addresses(self, address: str) -> None:
        assert is_public(address)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "not an address",
            "",
        ],
    )
    def test_is_false_for_all_that_reaches_inside(self, address: str) -> None:
        assert not is_public(address)

    def test_is_false_for_an_address_of_one_link_whatever_it_is(self) -> None:
        """A zone says through which interface to leave: that is no business of who names a host."""
        public = "2606:2800:220:1:248:1893:25c8:1946"

        assert is_public(public) and not is_public(f"{public}%eth0")

    def test_lets_loopback_through_only_when_allowed(self) -> None:
        assert is_public("127.0.0.1", allow_loopback=True)
        assert is_public("::1", allow_loopback=True)
        assert not is_public("::ffff:127.0.0.1", allow_loopback=True)
        assert not is_public("10.0.0.1", allow_loopback=True)


class TestCheckAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https:///path",
            "https://user:pass@example.org/",
            "https://localhost/",
            "https://hub.localhost./",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://017700000001/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://10.0.0.1:8443/",
            "nonsense",
            "",
            "https://exa mple.org/",
            "https://\x00/",
        ],
    )
    def test_refuses(self, url: str) -> None:
        with pytest.raises(OutgoingRefused):
            check_address(url)

    def test_takes_https(self) -> None:
        assert check_address("https://example.org:8443/a?b=c").port == 8443

    def test_takes_plain_http_on_loopback_when_allowed(self) -> None:
        assert check_address("http://127.0.0.1:8000/", allow_loopback=True).port == 8000
        assert check_address("http://localhost:8000/", allow_loopback=True).port == 8000

    @given(st.text(max_size=60))
    def test_gives_an_address_or_our_error_for_any_text(self, text: str) -> None:
        for url in (text, f"https://{text}/"):
            try:
                check_address(url)
            except OutgoingRefused:
                continue


class TestDoor:
    def test_connects_to_the_checked_address_under_the_host_s_name(self) -> None:
        made = door(PUBLIC)

        answer = made.request("POST", "https://hooks.example/a?b=c", content=b"{}")

        request = SENT[id(made)][0]
        assert (answer.status, answer.body) == (200, b"ok")
        assert request.url.host == PUBLIC
        assert request.headers["host"] == "hooks.example"
        assert request.extensions["sni_hostname"] == "hooks.example"
        assert request.url.raw_path == b"/a?b=c"

    def test_resolves_a_name_once(self) -> None:
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

        Door(approves=everybody, resolver=resolve, transport=httpx2.MockTransport(lambda _: streamed())).request(
            "GET", "https://rebinding.example/"
        )

        assert asked == ["rebinding.example"]

    @pytest.mark.parametrize(
        "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"]]
    )
    def test_refuses_a_name_with_any_inner_address(self, addresses: list[str]) -> None:
        made = door(*addresses)

        with pytest.raises(OutgoingRefused):
            made.request("GET", "https://sly.example/")

        assert SENT[id(made)] == []

    def test_refuses_a_host_that_nobody_approved(self) -> None:
        made = door(PUBLIC, approves=frozenset({"good.example"}).__contains__)

        with pytest.raises(OutgoingRefused, match="approved"):
            made.request("GET", "https://other.example/")

    def test_does_not_follow_redirects(self) -> None:
        made = door(
            PUBLIC,
            transport=httpx2.MockTransport(lambda _: streamed(status=302, Location="https://10.0.0.1/")),
        )

        assert made.request("GET", "https://hooks.example/").status == 302

    def test_gives_up_on_an_answer_that_is_too_long(self) -> None:
        made = door(PUBLIC, transport=httpx2.MockTransport(lambda _: streamed(b"x" * 2000)))

        with pytest.raises(OutgoingFailed, match="longer"):
            made.request("GET", "https://hooks.example/", limits=Limits(body_bytes=1000))

    def test_gives_up_on_an_answer_that_takes_too_long(self) -> None:
        moments = iter([0.0, 61.0, 62.0])
        made = door(PUBLIC, clock=lambda: next(moments))

        with pytest.raises(OutgoingFailed, match="60 s"):
            made.request("GET", "https://hooks.example/")

    def test_says_that_a_name_cannot_be_resolved(self) -> None:
        def resolve(host: str, port: int) -> list[str]:
            raise OSError("no such host")

        with pytest.raises(OutgoingFailed, match="resolved"):
            Door(approves=everybody, resolver=resolve).request("GET", "https://gone.example/")

    def test_turns_transport_failures_into_its_own_error(self) -> None:
        def fail(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused")

        with pytest.raises(OutgoingFailed):
            door(PUBLIC, transport=httpx2.MockTransport(fail)).request("GET", "https://hooks.example/")


@pytest.fixture
def server() -> Iterator[str]:
    """A web server on loopback that says which Host it was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = str(self.headers["Host"]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *details: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{running.server_port}"
        running.shutdown()
        thread.join()


class TestRealConnection:
    def test_reaches_loopback_when_allowed(self, server: str) -> None:
        made = Door(approves=everybody, resolver=lambda host, port: ["127.0.0.1"], allow_loopback=True)

        answer = made.request("GET", f"{server}/x")

        assert answer.body.decode() == server.removeprefix("http://")

    def test_does_not_otherwise(self, server: str) -> None:
        with pytest.raises(OutgoingRefused):
            Door(approves=everybody).request("GET", server)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_hangs_up_on_headers_that_trickle(self, scheme: str, tmp_path: Path) -> None:
        """Every byte begins the read time-out anew; only the total ends this."""
        enough = threading.Event()
        served, trusting = certified(tmp_path) if scheme == "https" else (None, None)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=trickle, args=(listening, served, enough))
            thread.start()
            made = Door(
                approves=everybody, resolver=lambda host, port: ["127.0.0.1"], allow_loopback=True, ssl_context=trusting
            )
            url = f"{scheme}://localhost:{listening.getsockname()[1]}/"

            with pytest.raises(OutgoingFailed, match=r"no complete answer within 0\.3 s"):
                made.request("GET", url, limits=Limits(read_seconds=5, total_seconds=0.3))

            is_free = not enough.is_set()
            enough.set()
            thread.join(10)
        assert is_free, "it listened until the other side had enough"


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Both sides of TLS for localhost, under a certificate made for this test."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(tz=UTC)
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1,
        not_valid_before=now - timedelta(days=1), not_valid_after=now + timedelta(days=1),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)  # fmt: skip
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = folder / "both.pem"
    path.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(path)
    return served, ssl.create_default_context(cadata=pem.decode())


def trickle(listening: socket.socket, tls: ssl.SSLContext | None, enough: threading.Event) -> None:
    """Send one byte of a header after the other, for ten seconds at most."""
    raw, _ = listening.accept()
    with tls.wrap_socket(raw, server_side=True) if tls else raw as connection, contextlib.suppress(OSError):
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(500):
            connection.sendall(b"a")
            if enough.wait(0.02):
                return
        enough.set()
        connection.sendall(b"\r\nContent-Length: 0\r\n\r\n")
