"""The requester's half of the pre-connection; the server's is in test_pesit_framing."""

from __future__ import annotations

import pytest

from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Framing, Preconnection, Reply
from gateway.pesit.session import Session
from gateway.pesit.states import REQUESTER


@pytest.mark.fact("F-10", "F-11", "F-14")
@pytest.mark.parametrize(
    ("request_", "coded"),
    [
        (Preconnection("PESIT", "CLI1", "SECRET1", True, False), "d7c5e2c9e3404040c3d3c9f140404040e2c5c3d9c5e3f140"),
        (Preconnection("PESIT", "CLI1", "SECRET1", True, True), "0018d7c5e2c9e3404040c3d3c9f140404040e2c5c3d9c5e3f140"),
        (Preconnection("PESIT", "CLI1", "SECRET1", False, False), "5045534954202020434c4931202020205345435245543120"),
        (Preconnection("PESITGSIT", "A" * 24, "", False, False), "5045534954475349" + "41" * 8 + "20" * 8),
        (Preconnection("PESIT", "é", "", False, False), "5045534954202020" + "3f" + "20" * 15),
    ],
)
def test_request(request_: Preconnection, coded: str) -> None:
    session = Session(REQUESTER, Framing.PREFIXED)
    assert session.preconnect(request_).hex() == coded


@pytest.mark.fact("F-03", "F-10", "F-15")
@pytest.mark.parametrize("framing", [Framing.PREFIXED, Framing.RAW])
@pytest.mark.parametrize(
    ("answer", "accepted"),
    [("c1c3d2f0", True), ("0004c1c3d2f0", True), ("41434b30", True), ("d5c1d2f0", False), ("00044e414b30", False)],
)
def test_replies_in_any_form_and_any_pieces(answer: str, accepted: bool, framing: Framing) -> None:
    session = Session(REQUESTER, framing)
    session.preconnect(Preconnection("PESIT", "A", "B", True, framing is Framing.PREFIXED))
    heard = []
    for byte in bytes.fromhex(answer):
        assert heard == []
        session.feed(bytes([byte]))
        heard += iter(session.next, None)
    assert heard == [Reply(accepted)]


@pytest.mark.parametrize("answer", ["c1c3d2f1", "000640220000", "48545450"])
def test_what_is_no_reply(answer: str) -> None:
    session = Session(REQUESTER, Framing.PREFIXED)
    session.preconnect(Preconnection("PESIT", "A", "B", True, True))
    session.feed(bytes.fromhex(answer))
    assert isinstance(session.next(), Violation)
    assert session.next() is None
