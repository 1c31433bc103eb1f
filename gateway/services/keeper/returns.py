"""Facts from ``arrived/``: what is being sent and what was, how the route is, and the returns of the OCT.

A return is opened, its signature and path are checked, and it is recorded with what it says (receipt → the
fichier moves, ARL → its lot, RSP → its factures) in one transaction; its body is sealed again, for box-delivery and
the practice's recovery key only, and handed out unchanged.  A return is the same return under another seal and another
signature: the OCT makes what waits for a box again when that box, or the OCT itself, gets new keys.  A return that
cannot be read is kept and shown, never dropped; one that cannot be checked now (a list is stale, the clock is not
plausible) stays at the door until it can.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from gateway.book.doors import Copied
from gateway.book.parts import Writable
from gateway.envelope import certificates
from gateway.envelope.seal import Opened, seal
from gateway.envelope.signed import read_signed
from gateway.errors import Deferred, Refused, Scope
from gateway.fichier import State, Verb
from gateway.follow.factures import settle
from gateway.follow.lots import acknowledge
from gateway.formats.announcement import Announcement
from gateway.formats.arl import Arl
from gateway.formats.days import iso
from gateway.formats.enrolment import RENEWAL, RenewalAnswer
from gateway.formats.masking import name_without_nir, without_nir
from gateway.formats.noemie_values import Return
from gateway.formats.receipt import Receipt
from gateway.formats.returns import ReturnFile, pack, unpack
from gateway.formats.words import printable
from gateway.process.child import read_in_child
from gateway.services.keeper.audit import take_receipt
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.evidence import keep_return
from gateway.services.keeper.facts import read_entry, read_fact, refused
from gateway.services.keeper.lists import take_lists
from gateway.services.keeper.renewals import keep_answer, take_entry
from gateway.services.keeper.stamping import NAME as STAMP
from gateway.services.keeper.stamping import Stamping
from gateway.services.keeper.succession import keep_announcement, take_shown

ROUTES = ("oct", "reserve")
"""The ways to the OCT of which forward tells."""

RETURN_LIMIT = 32 << 20
"""A NOEMIE return of a busy practice is a few hundred KB."""

DELIVERED_KINDS = ("arl", "rsp", "opaque")
"""Returns that go to the practice's inbox; a receipt becomes its ``receipts/`` entry."""


LATER_S = 30.0
"""Between two looks at a return that cannot be checked now."""

INSERT = (
    "INSERT INTO returns (id, kind, name, about, at, arrived, delivery, size, signed, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


async def take_arrived(desk: Desk) -> None:
    """Take all that forward brought: each one is committed before its entry goes."""
    for name in desk.arrived.names():
        act = next((act for form, act in _FORMS if form.fullmatch(name)), None)
        if act is None or name in desk.unreadable or desk.put_off.get(name, 0.0) > time.monotonic():
            continue  # not a name of forward's, no fact, or not yet: left where it is
        try:
            await act(desk, name)
        except Deferred as trouble:
            desk.put_off[name] = time.monotonic() + LATER_S
            text = f"Un retour attend d'être vérifié : {trouble.text}"
            desk.condition(Scope.ROUTE, "returns", trouble.code, text)
            continue
        except Refused as refusal:
            desk.unreadable.add(name)
            desk.condition(Scope.BOX, "door", refusal.code, refusal.text)
            continue
        desk.put_off.pop(name, None)
        desk.arrived.remove(name)
        desk.runtime.alive()


async def _take_sent(desk: Desk, name: str) -> None:
    """``sent.<id>.<transmission>.<seal>``: the OCT stored all of that seal."""
    _, fichier, transmission, number = name.split(".")
    told = read_fact(desk.arrived, name)
    row = desk.book.fichier(fichier)
    if row is None or (row["transmission"], row["seal"]) != (int(transmission), number):
        return
    with desk.commit():
        desk.book.move(fichier, Verb.SEND, {"seal": number, "transfer": told}, sent=iso(desk.book.clock()))


async def _take_route(desk: Desk, name: str) -> None:
    """``route.<n>``: how the line to the OCT is."""
    told = read_fact(desk.arrived, name, ("name", "code", "text"))
    route, code, text, after = (printable(str(told.get(key, ""))) for key in ("name", "code", "text", "next"))
    if route not in ROUTES:
        raise refused(name)
    desk.condition(Scope.ROUTE, route, code, without_nir(text), {"next": after})


async def _take_return(desk: Desk, name: str) -> None:
    """``return.<n>``: sealed to the box, signed by the OCT."""
    part = desk.parts.take(desk.arrived, name)
    if desk.book.connection.execute("SELECT 1 FROM returns WHERE id = ?", (part.digest,)).fetchone():
        return
    try:
        told, signed, path = open_return(desk, part)
        if _known(desk, signed, told):
            desk.parts.destroy([part.digest])
            return
        news = await _read_news(told)
        _check_integrated(desk, news)
    except Refused as refusal:
        _keep_unread(desk, part, refusal)
        return
    delivery = ""
    if told.header.kind in DELIVERED_KINDS:
        delivery = desk.parts.add(lambda out: _seal_for_practice(desk, told, out)).digest
    with desk.commit():
        desk.book.state_condition(Scope.ROUTE, "returns", "", "")
        clear = _names_nobody(news)
        more = take_receipt(desk, news, signed if clear else None) if isinstance(news, Receipt) else {}
        more |= keep_return(desk, told.header, signed, path) if clear else {}
        _record(desk, part, told, signed, delivery, more)
        desk.watch.witness(datetime.fromisoformat(told.header.at), "un retour du concentrateur")
        _apply(desk, news)
    desk.hand_out(part.digest)


def _names_nobody(news: object) -> bool:
    """Whether what the OCT signed may be kept in clear as evidence.  Its words may be a payer's that repeat a NIR: of
    such a return the sealed part alone stays."""
    words = (news.code, news.text) if isinstance(news, Receipt | Arl) else ()
    return all(without_nir(one) == one for one in words)


async def _take_begun(desk: Desk, name: str) -> None:
    """``begun.<id>.<transmission>.<seal>``: from now on some of that seal may be at the OCT."""
    _, fichier, _, number = name.split(".")
    with desk.commit():
        desk.book.begin(fichier, number)


async def _take_stamp(desk: Desk, name: str) -> None:
    """``stamp.<imprint>``: the time stamping authority's answer."""
    Stamping(desk).take(name.removeprefix(STAMP), read_entry(desk.arrived, name))


async def _take_key_request(desk: Desk, name: str) -> None:
    """``renewal.<key>.<mark>``: forward asks for a certificate; what is not a sound request is dropped."""
    with suppress(Refused):
        take_entry(desk, desk.arrived, "forward", name)


async def _take_renewal_sent(desk: Desk, name: str) -> None:
    """``begun.cles-…``, ``sent.cles-…``: a request for certificates is on its way; only its answer counts."""


async def _take_shown(desk: Desk, name: str) -> None:
    """``authorities.<SHA-256>``: what the line shows above a certificate that leads to nobody that we know."""
    shown: list[bytes] = []
    with suppress(Refused):  # of strangers: none of what cannot be read is any
        shown = certificates.load_certificates(read_entry(desk.arrived, name))
    take_shown(desk, shown)


_FORMS = (
    (re.compile(r"begun\.[0-9a-f]{32}\.\d{1,6}\.\d{1,6}"), _take_begun),
    (re.compile(r"sent\.[0-9a-f]{32}\.\d{1,6}\.\d{1,6}"), _take_sent),
    (re.compile(r"route\.\d{1,30}"), _take_route),
    (re.compile(r"return\.[0-9a-f]{64}"), _take_return),
    (re.compile(r"stamp\.[0-9a-f]{64}"), _take_stamp),
    (re.compile(r"lists\.[0-9a-f]{64}"), take_lists),
    (re.compile(r"authorities\.[0-9a-f]{64}"), _take_shown),
    (re.compile(r"renewal\.[a-z-]{1,20}\.[0-9a-f]{16}"), _take_key_request),
    (re.compile(rf"(begun|sent)\.{RENEWAL}[0-9a-f]{{32}}\.1\.\d{{1,6}}"), _take_renewal_sent),
)
"""Names in ``arrived/`` and what they bring."""


class _Kept:
    """What is read of a stream, kept as it came."""

    def __init__(self, source: Opened) -> None:
        self._source, self.whole = source, bytearray()

    def read(self, size: int, /) -> bytes:
        block = self._source.read(size)
        self.whole += block
        return block


def open_return(desk: Desk, part: Copied) -> tuple[ReturnFile, bytes, certificates.Path]:
    """Open a return and check who signed it; the signed bytes as the OCT made them and its path go with it."""
    desk.watch.check()
    content = io.BytesIO()
    with desk.parts.open(part.digest) as source:
        kept = _Kept(desk.keys.open(source))
        signed = read_signed(kept, content, RETURN_LIMIT)
    take_shown(desk, signed.chain)
    path = desk.trust.check_oct(signed.signature.certificate, signed.chain, desk.book.clock())
    return unpack(content.getvalue()), bytes(kept.whole), path


def _seal_for_practice(desk: Desk, told: ReturnFile, out: Writable) -> None:
    whole = _whole(told)
    seal(io.BytesIO(whole), len(whole), out, [desk.trust.delivery, desk.trust.recovery])


def _whole(told: ReturnFile) -> bytes:
    return pack(told.header.kind, told.header.name, told.header.about, told.header.at, told.body)


def _known(desk: Desk, signed: bytes, told: ReturnFile) -> bool:
    digests = [hashlib.sha256(one).hexdigest() for one in (signed, _whole(told))]
    query = "SELECT 1 FROM returns WHERE signed = ? OR content = ?"
    return bool(desk.book.connection.execute(query, digests).fetchone())


def _record(desk: Desk, part: Copied, told: ReturnFile, signed: bytes, delivery: str, more: dict[str, Any]) -> None:
    head = told.header
    desk.book.connection.execute(
        INSERT,
        (part.digest, head.kind, name_without_nir(head.name), head.about or "", head.at, iso(desk.book.clock()),
         delivery, len(told.body), hashlib.sha256(signed).hexdigest(), hashlib.sha256(_whole(told)).hexdigest()),
    )  # fmt: skip
    desk.book.record(head.about or "", {"verb": "return", "kind": head.kind, "part": part.digest, **more})


def _keep_unread(desk: Desk, part: Copied, trouble: Refused) -> None:
    """Kept under its digest and said; a person or a later version may read it."""
    with desk.commit():
        desk.book.connection.execute(
            INSERT,
            (part.digest, "unread", trouble.code, "", "", iso(desk.book.clock()), "", part.size, "", ""),
        )
        desk.book.record("", {"verb": "return", "kind": "unread", "part": part.digest, "code": trouble.code})
        desk.book.state_condition(
            Scope.ROUTE, "returns", trouble.code, f"Un retour n'a pas pu être lu : {trouble.text}"
        )


async def _read_news(told: ReturnFile) -> Receipt | Arl | RenewalAnswer | Announcement | Return | None:
    """What a return says, read before anything is recorded; Refused for a receipt or ARL that is not of ours.

    A payer's return is read by the child; one that it cannot read is delivered all the same.
    """
    if told.header.kind == "receipt":
        return Receipt.from_bytes(told.body)
    if told.header.kind == "arl":
        return Arl.from_bytes(told.body)
    if told.header.kind == "keys":
        return RenewalAnswer.from_bytes(told.body)
    if told.header.kind == "trust":
        return Announcement.from_bytes(told.body)
    if told.header.kind != "rsp":
        return None
    answer = await asyncio.to_thread(read_in_child, lambda child: child.write(told.body), "--as", "return")
    try:
        return Return.from_json(answer)
    except Refused:
        return None


def _check_integrated(desk: Desk, news: object) -> None:
    """Refused RCT-002 where the OCT says that it integrated something else than the content of the fichier."""
    if not isinstance(news, Receipt) or news.verdict != "integrated":
        return
    row = desk.book.fichier(news.fichier)
    if row is not None and news.digest != row["digest"]:
        raise Refused("RCT-002", f"Le reçu dit intégré un autre contenu que celui du fichier {news.fichier[:8]}.")


def _apply(desk: Desk, news: Receipt | Arl | RenewalAnswer | Announcement | Return | None) -> None:
    """What a return says, in the transaction that records it."""
    if isinstance(news, Receipt):
        apply_receipt(desk, news)
    elif isinstance(news, Arl):
        acknowledge(desk.book, news)
    elif isinstance(news, RenewalAnswer):
        keep_answer(desk, news)
    elif isinstance(news, Announcement):
        keep_announcement(desk, news)
    elif news is not None:
        settle(desk.book, news, iso(desk.book.clock()))


def apply_receipt(desk: Desk, receipt: Receipt) -> None:
    """Move a fichier on the OCT's own word; one for another seal moves nothing unless it says integrated."""
    row = desk.book.fichier(receipt.fichier)
    if row is None:
        return
    same = (row["transmission"], row["seal"]) == (receipt.transmission, receipt.seal)
    fact = {"seal": receipt.seal, "receipt": receipt.verdict, "code": receipt.code, "at": receipt.integrated_at}
    if receipt.verdict == "integrated":
        sent = row["sent"] if row["state"] == State.SENT else iso(desk.book.clock())
        desk.book.move(receipt.fichier, Verb.INTEGRATE, fact, sent=sent)
        desk.book.state_condition(Scope.ROUTE, "seal", "", "")
        desk.outgoing.withdraw(f"{receipt.fichier}.{row['transmission']}.{row['seal']}")
    elif receipt.verdict == "refused" and same:
        desk.book.move(
            receipt.fichier, Verb.REFUSE, {**fact, "by": "oct"},
            reason_code=receipt.code, reason_text=without_nir(receipt.text), reason_scope="fichier",
        )  # fmt: skip
    elif receipt.verdict == "unopened" and same and row["state"] in (State.SEALED, State.SENT):
        # Sealed again, but not at once: what the OCT cannot open is its certificate's trouble, not the fichier's.
        later = time.time() + desk.settings.retry_max_s
        desk.book.move(receipt.fichier, Verb.UNSEAL, fact, not_before=later)
        text = "Le concentrateur ne parvient pas à ouvrir ce qui lui est scellé."
        desk.book.state_condition(Scope.ROUTE, "seal", receipt.code or "OCT", text)
