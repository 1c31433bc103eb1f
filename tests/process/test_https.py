"""The enrolment line against a real TLS server: the right one is heard, any other is refused, nothing hangs."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from development_pki import Pki
from later_pki import LaterPki

from gateway.errors import Deferred, Refused
from gateway.formats.enrolment import fingerprint
from gateway.process import https
from gateway.process.https import Declined, Place, fetch_roots, post_request, read_place

GOOD = (200, b"an answer")


@contextmanager
def served(
    pki: Pki, folder: Path, answer: tuple[int, bytes], name: str = "oct-transport", **options: object
) -> Iterator[Place]:
    """A server with the OCT's certificate that gives one answer to everything, and the root where that is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(200, pki.root)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.say(*answer)

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body) + int(options.get("short", 0))))  # type: ignore[call-overload]
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    chain = folder / f"{name}.chain.pem"
    above = "oct" if name.startswith("oct") else "boites"
    chain.write_bytes(
        (pki.directory / f"{name}.pem").read_bytes() + (pki.directory / f"chains/{above}.pem").read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, pki.directory / f"{name}.key")
    if options.get("old"):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Place(str(options.get("host", "localhost")), server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def test_the_right_server_is_heard(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD) as place:
        roots = fetch_roots(place, fingerprint(pki.root), datetime.now(UTC))
        assert roots == (pki.root,)
        assert post_request(place, roots, b"request") == (b"an answer", pki.certificate("oct-transport"))


@pytest.mark.parametrize("vouched", [True, False])
def test_a_server_below_the_root_that_followed_is_heard_where_the_typed_one_vouches_for_it(
    pki: Pki, tmp_path: Path, vouched: bool
) -> None:
    later, now = LaterPki(shutil.copytree(pki.directory, tmp_path / "pki")), datetime.now(UTC)
    link = later.root("root-2", "root", now).read_bytes()
    sector = later.sector("oct-2", "oct", "root-2", now).read_bytes()
    later.again("oct-transport", "oct-2", now)
    line = later.folder / "oct-transport.pem"
    own, root = line.read_bytes(), (later.folder / "root.pem").read_bytes()[len(_pem(pki.root)) :]
    line.write_bytes(own + sector + root + (link if vouched else b""))
    with served(Pki(later.folder), tmp_path, GOOD) as place:
        roots = fetch_roots(place, fingerprint(pki.root), now)
        assert (len(roots), roots[0]) == (1 + vouched, pki.root)
        if vouched:
            assert post_request(place, roots, b"request")[0] == b"an answer"
        else:
            with pytest.raises(Refused, match="ENR-052"):
                post_request(place, roots, b"request")


def _pem(certificate: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(certificate).encode()


def test_a_root_with_another_fingerprint_is_not_taken(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD) as place, pytest.raises(Refused, match="ENR-051"):
        fetch_roots(place, "0" * 64, datetime.now(UTC))


def test_a_server_under_another_root_is_refused(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD) as place, pytest.raises(Refused, match="ENR-052"):
        post_request(place, [pki.certificate("zoo/foreign-root")], b"request")


def test_a_server_of_another_name_is_refused(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD, "box-transport") as place, pytest.raises(Refused, match="ENR-052"):
        post_request(place, [pki.root], b"request")


def test_a_server_that_says_nothing_costs_a_bounded_time(pki: Pki) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Deferred, match="ENR-053"):
        https_quickly(Place("127.0.0.1", silent.getsockname()[1]), pki)


def https_quickly(place: Place, pki: Pki) -> None:
    """With little patience."""
    before, https.PATIENCE_S = https.PATIENCE_S, 0.3
    try:
        post_request(place, [pki.root], b"request")
    finally:
        https.PATIENCE_S = before


def test_tls_1_2_is_not_spoken(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD, old=True) as place, pytest.raises(Deferred, match="ENR-053"):
        post_request(place, [pki.root], b"request")


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((422, json.dumps({"code": "ENR-005", "text": "faux\x1b[2J"}).encode()), Declined, "ENR-005"),
        ((503, json.dumps({"code": "CMS-037", "text": "pas de liste"}).encode()), Deferred, "CMS-037"),
        ((500, b"<html>"), Deferred, "ENR-053"),
        ((422, b"[1]"), Declined, "ENR-053"),
        ((200, bytes(1 << 16)), Deferred, "ENR-053"),
    ],
)
def test_other_answers(
    pki: Pki,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, bytes],
    kind: type[Exception],
    code: str,
) -> None:
    monkeypatch.setattr(https, "ANSWER_LIMIT", 1 << 12)
    with served(pki, tmp_path, answer) as place, pytest.raises(kind, match=code) as trouble:
        post_request(place, [pki.root], b"request")
    assert "\x1b" not in str(trouble.value)


def test_an_answer_that_breaks_off_is_none(pki: Pki, tmp_path: Path) -> None:
    with served(pki, tmp_path, GOOD, short=10) as place, pytest.raises(Deferred, match="ENR-053"):
        https_quickly(place, pki)


def test_nobody_there() -> None:
    with pytest.raises(Deferred, match="ENR-053"):
        fetch_roots(Place("127.0.0.1", 1), "", datetime.now(UTC))


@pytest.mark.parametrize(
    "url", ["http://a:1", "https://a", "https://a:0", "https://a:70000", "https://a b:1", "ftp://a:1"]
)
def test_places_that_are_none(url: str) -> None:
    with pytest.raises(Refused, match="ENR-050"):
        read_place(url)


def test_places() -> None:
    assert read_place("https://oct.example:5143/") == Place("oct.example", 5143)
    assert read_place("https://[::1]:5143") == Place("::1", 5143)
