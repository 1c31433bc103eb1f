"""The tunnel of docs/ipsec.md, brought up for real: mutual certificates, ESP alone on the wire, nothing beside it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from development_pki import Pki
from ipsec_tunnel import BOX, OCT, OCT_SIDE, PLACES, PORT, End, Listener, inside, kind, missing, template, two_ends
from line_certificates import make_list

from gateway.envelope.certificates import load_certificates

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

GATEWAY = (sys.executable, "-m", "gateway")
MARK = b"NIR 2690549588157 80"
HOUR = timedelta(hours=1)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[End, End]]:
    with two_ends(tmp_path) as both:
        yield both


@contextmanager
def pesit_server(end: End, directory: Path) -> Iterator[None]:
    """`gateway pesit serve` at this end, without TLS: only the tunnel hides what it hears."""
    directory.mkdir()
    serve = (*GATEWAY, "pesit", "serve", "--listen", f"{PLACES['oct']}:{PORT}", "--name", "ICI")
    arguments = end.command(*serve, "--directory", str(directory), "--partner", "BOITE:secret")
    server = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert server.stdout is not None
        assert b"coute" in server.stdout.readline()
        yield
    finally:
        server.terminate()
        server.wait(20)


def send(end: End, file: Path) -> subprocess.CompletedProcess[bytes]:
    url = f"pesit://BOITE:secret@{PLACES['oct']}:{PORT}/ICI"
    arguments = end.command(*GATEWAY, "pesit", "send", str(file), "--to", url, "--as", "FACTURES")
    return subprocess.run(arguments, capture_output=True, timeout=60, check=False)


def test_a_transfer_goes_through_the_tunnel_and_the_wire_carries_nothing_else(
    ends: tuple[End, End], pki: Pki, tmp_path: Path
) -> None:
    """The listener hears IKE and ESP and not one byte of the file; without the tunnel it hears the file."""
    box, oct_side = ends
    box.equip(pki, "boites", BOX, pki.lists)
    oct_side.equip(pki, "oct", OCT, pki.lists)
    oct_side.start(OCT_SIDE)
    box.start(template())
    listener, file = Listener(box.namespace), tmp_path / "factures.b2"
    file.write_bytes(MARK * 20_000)

    raised = box.swanctl("--initiate", "--child", "oct")
    assert raised.returncode == 0, raised.stdout + box.log
    for end, peer in ((box, OCT), (oct_side, BOX)):
        assert f"authentication of '{peer}' with ECDSA_WITH_SHA256_DER successful" in end.log
        state = end.swanctl("--list-sas").stdout
        assert "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384" in state
        assert "INSTALLED" in state and "ESP:AES_GCM_16-256" in state

    with pesit_server(oct_side, tmp_path / "taken"):
        sent = send(box, file)
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert (tmp_path / "taken" / "FACTURES").read_bytes() == file.read_bytes()
        heard = listener.heard()
        assert {kind(packet) for packet in heard} <= {"IKE", "ESP", "keepalive"}
        assert sum(len(packet) for packet in heard if kind(packet) == "ESP") > file.stat().st_size
        assert not any(MARK in packet for packet in heard)

        for end in ends:
            end.stop()
        assert send(box, file).returncode == 0
        heard = listener.heard()
        assert str(socket.IPPROTO_TCP) in {kind(packet) for packet in heard}
        assert any(MARK in packet for packet in heard)
    listener.close()


def test_while_the_tunnel_is_not_up_nothing_goes_beside_it(ends: tuple[End, End], pki: Pki) -> None:
    box, oct_side = ends
    box.equip(pki, "boites", BOX, pki.lists)
    box.start(template())
    listener = Listener(box.namespace)
    with inside(oct_side.namespace):
        server = socket.create_server((PLACES["oct"], PORT))
    with inside(box.namespace), pytest.raises(TimeoutError):
        socket.create_connection((PLACES["oct"], PORT), timeout=1.5)
    assert {kind(packet) for packet in listener.heard()} <= {"IKE"}
    listener.close()
    server.close()


@pytest.mark.parametrize(
    ("under", "revoked", "said"),
    [("oct", True, "certificate was revoked"), ("boites", False, "peer not authenticated by CA")],
    ids=["revoked", "of another authority"],
)
def test_an_oct_whose_certificate_does_not_hold_gets_no_tunnel(
    ends: tuple[End, End], pki: Pki, under: str, revoked: bool, said: str
) -> None:
    box, oct_side = ends
    made = load_certificates(oct_side.equip(pki, under, OCT, pki.lists).read_bytes())[0]
    lists = [make_list(pki, under, datetime.now(UTC) - HOUR, revoked=[made])] if revoked else pki.lists
    box.equip(pki, "boites", BOX, lists)
    oct_side.start(OCT_SIDE)
    box.start(template())

    assert box.swanctl("--initiate", "--child", "oct").returncode != 0
    assert said in box.log
    assert "INSTALLED" not in box.swanctl("--list-sas").stdout
