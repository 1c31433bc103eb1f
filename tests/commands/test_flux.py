"""``gateway flux``: what it prints, what it masks, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.__main__ import main

SAMPLES = Path(__file__).parents[1] / "samples" / "flux"
B2 = str(SAMPLES / "b2_cp_two_batches.b2")
BAD = str(SAMPLES / "b2_bad_nir_key.b2")
RETURN = str(SAMPLES / "noemie_new_form_paid_and_rejected.noe")
NIR = "155059999999968"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["flux", *words])
    printed = capsys.readouterr()
    return code, printed.out.replace("\u00a0", " "), printed.err


def test_show_a_b2_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", B2)
    assert code == 0
    assert out.splitlines()[:3] == [
        "Fichier B2 : 2 lots, 3 factures, 690,00 €",
        "  Lot 001 du 22/11/2025, émetteur 991038431, destinataire 00000001025996 : 2 factures, 345,00 €",
        "    Facture 001000001, NIR 155…, soins du 03/11/2025 : AMO 230,00 €, AMC 0,00 €, dépense 230,00 €",
    ]


def test_show_a_return(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", RETURN)
    assert code == 0
    assert "  Virement du 25/11/2025, payeur 0101000996 : CPAM TEST 996 LOT 001 251125 / REF VIR SYN0001\n" in out
    assert "    Part AMO payée : 230,00 € sur 230,00 € demandés\n" in out
    assert "    Rejet ou signalement 9901 : LIBELLE DE REJET SYNTHETIQUE" in out


@pytest.mark.parametrize("file", [B2, RETURN])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_nir_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str], file: str, form: list[str]) -> None:
    assert NIR not in run(capsys, "show", file, *form)[1]
    assert NIR in run(capsys, "show", file, "--reveal", *form)[1]


def test_an_unread_entity_is_shown_by_its_number_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    odd = tmp_path / "odd.noe"
    odd.write_bytes(Path(RETURN).read_bytes().replace(b"10399155", b"777" + b"99155", 1))
    assert NIR not in run(capsys, "show", str(odd))[1]
    assert "entité non lue : 777…" in run(capsys, "show", str(odd))[1]


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", B2) == (0, "Fichier B2 accepté, 0 constat.\n", "")
    code, out, _ = run(capsys, "check", BAD)
    assert code == 65
    assert out.startswith("Fichier B2 refusé, 4 constats.\nB2-017 bloque (enregistrement 3, position 25) : La clé 00")


def test_check_with_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", B2, "--profile", "mutsante")
    assert code == 65
    assert "MS-01" in out


@pytest.mark.parametrize(("file", "kind", "blocked"), [(B2, "b2", False), (BAD, "b2", True), (RETURN, "noemie", False)])
def test_check_json(capsys: pytest.CaptureFixture[str], file: str, kind: str, blocked: bool) -> None:
    code, out, _ = run(capsys, "check", "--json", file)
    told = json.loads(out)
    assert (told["kind"], told["blocked"], code) == (kind, blocked, 65 if blocked else 0)
    assert all(finding.keys() == {"record", "position", "code", "text", "severity"} for finding in told["findings"])


def test_what_is_unknown_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"nom;montant\n")
    code, out, _ = run(capsys, "check", str(odd))
    assert code == 65
    assert "Le format de ce fichier est inconnu" in out


@pytest.mark.parametrize(("name", "why"), [("missing", "fichier ou dossier introuvable"), (".", "c'est un dossier")])
def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, why: str) -> None:
    code, out, err = run(capsys, "show", str(tmp_path / name))
    assert (code, out) == (65, "")
    assert why in err


@pytest.mark.parametrize("words", [("check",), ("check", B2, "--profile", "x"), ("nonsense",), ()])
def test_usage(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flux", *words])
    assert ended.value.code == 64
