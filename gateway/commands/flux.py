"""``gateway flux``: read and check a B2 or NOEMIE file from a shell.

Rule 1: the file is only read; what is printed is what ``gateway.formats`` found in it.
Rule 2: a NIR is masked unless ``--reveal`` is given; a finding never holds one.
Exit: 0 done, 65 when a finding blocks; a file that cannot be read is raised as Refused, which is 65 too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gateway.errors import Refused, os_words
from gateway.formats import b2, canonical, documents, kinds, noemie
from gateway.formats.findings import Finding, Lot, Report
from gateway.formats.noemie_values import Part, Return, ReturnedFacture
from gateway.formats.sandbox import MOST_INPUT
from gateway.formats.words import day, euros, mask_nir, plural, printable

_DONE, _REFUSED = 0, 65

_SEVERITY = {"blocks": "bloque", "warns": "avertit", "says": "informe"}
_STATES = {"": "non traitée", "P": "payée", "R": "rejetée", "D": "différée"}
_KINDS = {"b2": "Fichier B2", "documents": "Document", "noemie": "Retour NOEMIE", "unknown": "Fichier inconnu"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``flux show`` and ``flux check``; each sets ``act``, which takes the arguments and gives the exit
    code."""
    parser = subparsers.add_parser("flux", help="lire et contrôler un fichier B2 ou NOEMIE")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="montrer les lots et factures d'un fichier, ou un retour")
    show.add_argument("--reveal", action="store_true", help="montrer les NIR en clair")
    check = actions.add_parser("check", help="contrôler un fichier ; code 65 si un constat bloque")
    for action, act in ((show, show_file), (check, check_file)):
        action.add_argument("file", metavar="FICHIER", type=Path, help="B2, NOEMIE ou document numérisé")
        action.add_argument(
            "--profile", choices=b2.PROFILES, default=b2.PROFILES[0], help="contrôles en plus (docs/flux.md)"
        )
        action.add_argument("--json", action="store_true", help="pour un programme")
        action.set_defaults(act=act)


def show_file(args: argparse.Namespace) -> int:
    """Print what a file holds."""
    read = _read(args.file, args.profile)
    shown = read if args.reveal else _masked(read)
    if args.json:
        print(canonical.encode(shown).decode())
    else:
        lines = _return_lines(shown) if isinstance(shown, Return) else _report_lines(shown)
        print("\n".join([*lines, *_finding_lines(shown.findings)]))
    return _exit_code(read)


def check_file(args: argparse.Namespace) -> int:
    """Print what a file's check finds."""
    read = _read(args.file, args.profile)
    kind = "noemie" if isinstance(read, Return) else read.kind
    if args.json:
        answer = {"kind": kind, "blocked": read.blocked, "findings": read.findings}
        print(canonical.encode(answer).decode())
    else:
        verdict = "refusé" if read.blocked else "accepté"
        count = plural(len(read.findings), "constat")
        print("\n".join([f"{_KINDS[kind]} {verdict}, {count}.", *_finding_lines(read.findings)]))
    return _exit_code(read)


def _read(path: Path, profile: str) -> Report | Return:
    try:
        with path.open("rb") as file:
            data = documents.begin(file.read)
            if isinstance(data, documents.Ends):
                return kinds.check_fichier(data)
            data += file.read(MOST_INPUT + 1 - len(data))
    except OSError as trouble:
        text = f"{printable(str(path))} ne peut pas être lu : {os_words(trouble)}."
        raise Refused("FMT-012", text) from None
    if len(data) > MOST_INPUT:
        return kinds.refusal("FMT-004", limit=MOST_INPUT)
    return noemie.read(data) if kinds.recognise(data) == "noemie" else kinds.check_fichier(data, profile)


def _exit_code(read: Report | Return) -> int:
    return _REFUSED if read.blocked else _DONE


def _masked(read: Report | Return) -> Report | Return:
    """The same reading with every NIR cut to its first three characters."""
    if isinstance(read, Return):
        factures = tuple(replace(facture, nir=mask_nir(facture.nir)) for facture in read.factures)
        unknown = tuple(replace(entity, raw=f"{entity.raw[:3]}…") for entity in read.unknown)
        return replace(read, factures=factures, unknown=unknown)
    return replace(read, lots=tuple(_masked_lot(lot) for lot in read.lots))


def _masked_lot(lot: Lot) -> Lot:
    return replace(lot, factures=tuple(replace(facture, nir=mask_nir(facture.nir)) for facture in lot.factures))


def _report_lines(report: Report) -> Iterator[str]:
    counts = f"{plural(len(report.lots), 'lot')}, {plural(report.facture_count, 'facture')}"
    yield f"{_KINDS[report.kind]} : {counts}, {euros(report.spent_cents)}"
    for lot in report.lots:
        count = plural(len(lot.factures), "facture")
        yield (
            f"  Lot {lot.number} du {day(lot.date)}, émetteur {lot.emitter}, "
            f"destinataire {lot.destination} : {count}, {euros(lot.spent_cents)}"
        )
        for facture in lot.factures:
            yield (
                f"    Facture {facture.number}, NIR {facture.nir}, soins du {day(facture.care_date)} : "
                f"AMO {euros(facture.amo_cents)}, AMC {euros(facture.amc_cents)}, "
                f"dépense {euros(facture.spent_cents)}"
            )


def _return_lines(read: Return) -> Iterator[str]:
    count = plural(len(read.factures), "facture")
    yield (
        f"Retour NOEMIE {read.reference} de {read.emitter_no} pour {read.dest_no}, fichier {read.file_id} "
        f"du {day(read.created)} : {count}, {euros(read.total_cents)}"
    )
    for transfer in read.transfers:
        labels = " / ".join(label for label in (transfer.label1, transfer.label2) if label)
        yield f"  Virement du {day(transfer.accounting_date)}, payeur {transfer.payer or '–'} : {labels}"
    for facture in read.factures:
        yield from _returned_lines(facture)
    for taken in read.withholdings:
        yield (
            f"  Retenue {taken.reference} ({taken.kind}, {taken.operation}) : {euros(taken.amount_cents)}, "
            f"reste {euros(taken.balance_cents)}"
        )
    for comment in read.comments:
        yield f"  Commentaire : {comment}"
    for entity in read.unknown:
        yield f"  Octet {entity.offset}, entité non lue : {printable(entity.raw)}"


def _returned_lines(facture: ReturnedFacture) -> Iterator[str]:
    lot = f"lot {facture.lot_number} du {day(facture.lot_date)}" if facture.lot_number else "lot non indiqué"
    yield f"  Facture {facture.number} ({lot}), NIR {facture.nir}"
    for payer, part in (("AMO", facture.amo), ("AMC", facture.amc)):
        if part is not None:
            yield f"    Part {payer} {_part_words(part)}"
    for reject in facture.rejects:
        yield f"    Rejet ou signalement {reject.code} : {reject.label}"


def _part_words(part: Part) -> str:
    asked = "" if part.asked_cents is None else f" sur {euros(part.asked_cents)} demandés"
    return f"{_STATES[part.state]} : {euros(part.paid_cents)}{asked}"


def _finding_lines(findings: tuple[Finding, ...]) -> Iterator[str]:
    for found in findings:
        place = f"enregistrement {found.record}, position {found.position}"
        yield f"{found.code} {_SEVERITY[found.severity]} ({place}) : {found.text}"
