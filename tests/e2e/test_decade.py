"""A box lives ten years by itself: fichiers all along, and nobody's hand but the practitioner's PIN and new cards.

What happens in these years is in ``decade.EVENTS``; the tests look at what they left.  What lay on the disks at the end
of each year is printed.
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from decade import DAYS, STEP, Decade
from evidence_bench import checked, lay_out, read_zip
from faked_clock import LIBRARY
from pin_scan import CODE
from stage import BOX, REPO
from stage_root import stage_root

from gateway.concentrator.schema import open_reading
from gateway.envelope.box_keys import KEYS
from tests.e2e.test_evidence import typed

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

NINTH_YEAR = 8 * 365 + 200
END = DAYS + 90
LATE = STEP + timedelta(days=8)
"""Between what a rule says and what was done: a step, and the week that the clock alone is believed."""

COPIES, KEYS_KEPT = timedelta(days=90), timedelta(days=90)
SAID = {
    "", "CPS-ABSENT", "CPS-LOCKED", "CPS-READING", "CPS-SERVICE", "CPS-REMOVED", "PES-UNREACHABLE", "PES-CUT",
    "PES-TLS", "PES-3.316", "PES-3.317", "PES-3.322", "LST-011", "LST-012", "CLK-001", "CLK-003", "CMS-037", "CMS-038",
    "RET-CLOCK", "KEY-CERT-90", "KEY-CERT-60", "MND-CERT-90", "MND-CERT-60", "AUT-CERT-90",
}  # fmt: skip
"""All that the ladder may have said; no certificate comes nearer to its end."""


@dataclass
class Life:
    """Ten years, the root of the first day, and the evidence that was asked for in the ninth year."""

    box: Decade
    root: str
    first: str
    proof: Path


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Life]:
    assert LIBRARY.exists(), "apt install faketime"
    settings: dict[str, dict[str, Any]] = {"forward": {"lists_s": 5.0, "lists_soon_s": 1.0}}
    with stage_root() as root, Decade(root, enrolled=True, settings=settings, pin=CODE) as box:
        box.begin()
        with box.tsa.serving() as tsa:
            settings["forward"]["tsa_url"] = tsa.url
            box.enter()
            mark = hashlib.sha256(ssl.PEM_cert_to_DER_cert((box.pki / "root.pem").read_text())).hexdigest()
            first = box.row(box.work())["id"]
            box.live(NINTH_YEAR)
            proof = tmp_path_factory.mktemp("decade") / "preuve.zip"
            done = box.gateway("evidence", first, str(proof))
            assert done.returncode == 0, done.stderr
            box.live(END)
            with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(f"\n{table(box)}")
            yield Life(box, mark, first, proof)


def table(box: Decade) -> str:
    """What lies there at the end of each year, KiB."""
    names = sorted({name for sizes in box.sizes.values() for name in sizes})
    lines = [f"année {' '.join(f'{name:>9}' for name in names)}    (Kio)"]
    for year, sizes in sorted(box.sizes.items()):
        lines.append(f"{year:>5} " + " ".join(f"{sizes.get(name, 0) / 1024:>9.0f}" for name in names))
    return "\n".join([*lines, f"{len(box.contents)} fichiers, {max(box.steps):.1f} s pour le plus lent"])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_every_fichier_went_all_the_way_once(life: Life) -> None:
    with closing(open_reading(life.box.oct / "concentrator.db")) as store:
        taken = store.execute("SELECT * FROM verdicts").fetchall()
    assert Counter(row["verdict"] for row in taken) == {"integrated": len(life.box.contents)}
    assert {row["digest"] for row in taken} == {hashlib.sha256(one).hexdigest() for one in life.box.contents.values()}
    assert sum(row["doubles"] for row in taken) == 0
    assert len(life.box.journal("integrate")) == len(life.box.contents) > 100
    assert life.box.count("SELECT count(*) FROM returns WHERE kind = 'unread'") == 0
    assert all(life.box.alive(name) for name in (*BOX, "concentrator"))
    logs = {path.name: path.read_text() for path in life.box.logs.glob("*.log")}
    assert [name for name, text in logs.items() if "Error" in text.replace("BrokenPipeError", "")] == []


def test_no_certificate_came_near_its_end(life: Life) -> None:
    """The box's own are renewed at the first step after 90 days; the OCT's, when its operator does it."""
    assert {name: days for name, days in life.box.left.items() if days < (COPIES - LATE).days} == {}
    renewed = Counter(name for row in life.box.journal("renew") for name in row["keys"])
    assert set(renewed) == {row.name for row in KEYS} and min(renewed.values()) >= 5
    assert (len(life.box.trusts("root")), len(life.box.trusts("chain"))) == (2, 9)
    assert life.box.journal("refuse announcement") == life.box.journal("refuse renewal") == []


def test_what_the_ladder_said_in_ten_years(life: Life) -> None:
    told = {(row["name"], row["code"]) for row in life.box.journal("condition")}
    assert {code for _, code in told} - SAID == set()
    assert {("clock", "CLK-001"), ("clock", "CLK-003"), ("lists-over", "LST-012"), ("lists", "LST-011")} <= told
    assert life.box.ask("/api/v1/status")["level"] == "ok"
    with closing(open_reading(life.box.oct / "concentrator.db")) as store:
        alarms = {row["about"] for row in store.execute("SELECT about FROM alarms")}
    assert {one for one in alarms if not one.startswith("OCT-GATEWAY TEST AC ")} == set(), "the operator was in time"


def test_an_old_key_is_kept_and_then_destroyed(life: Life) -> None:
    with life.box.book() as book:
        former = book.execute("SELECT * FROM former_keys").fetchall()
    assert min(Counter(row["name"] for row in former)[name] for name in ("box-seal", "box-delivery")) >= 5
    now = life.box.clock.now()
    for row in former:
        since, gone = moment(row["since"]), moment(row["destroyed"]) if row["destroyed"] else now
        assert KEYS_KEPT <= gone - since <= KEYS_KEPT + COPIES + 2 * LATE, dict(row)
    left = Counter(path.name.split(".")[0] for path in life.box.paths.keys.glob("*/box-*.key"))
    assert left == {row.name: 1 for row in KEYS if row.owner}


def test_the_numbers_of_lists_only_grow(life: Life) -> None:
    numbers = defaultdict(list)
    for row in life.box.journal("list"):
        numbers[row["authority"]].append(int(row["number"]))
    assert len(numbers) == 11  # two roots, and three times three sectors
    assert all(one < two for found in numbers.values() for one, two in pairwise(found))


def test_the_journal_holds_over_ten_years(life: Life, tmp_path: Path) -> None:
    done = life.box.gateway("journal", "verify")
    assert (done.returncode, "intactes" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "non vérifiées : aucune autorité d'horodatage" not in done.stdout
    copy = shutil.copytree(life.box.paths.journal, tmp_path / "journal")
    chains = [str(path) for path in (life.box.pki / "chains").glob("*.pem")]
    words = ["--directory", str(copy), "--trust", str(life.box.pki / "root.pem"), "--chain", *chains]
    done = life.box.gateway("journal", "verify", *words, "--tsa", str(life.box.tsa.folder / "ca.pem"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(copy.glob("evidence-*"))) == len({row["at"][:4] for row in life.box.journal("list")}), "yearly"
    assert len(life.box.journal("stamp")) > 100


def test_what_has_had_its_time_is_gone(life: Life) -> None:
    """Copies, then the follow-up, then all but the journal; each destruction is proven."""
    now = life.box.clock.now()
    with life.box.book() as book:
        fichiers = {row["id"]: row for row in book.execute("SELECT * FROM fichiers")}
        held = book.execute("SELECT fichier, role FROM parts WHERE role <> 'signature'").fetchall()
        named = [row["id"] for row in fichiers.values() if row["name"] != "(suivi clos)"]
        factures = {row[0] for row in book.execute("SELECT DISTINCT fichier FROM factures")}
    assert all(now - moment(fichiers[row["fichier"]]["sent"]) < COPIES + LATE for row in held)
    assert all(now - moment(fichiers[one]["sent"]) < timedelta(days=365) + LATE for one in {*named, *factures})
    assert life.first not in fichiers
    assert all(now - moment(row["sent"]) < timedelta(days=3653) + LATE for row in fichiers.values())
    proven = Counter(row["class"] for row in life.box.journal("destroy"))
    total = len(life.box.contents)
    assert proven["copies"] >= total - 5 and proven["follow"] >= total - 14 and proven["digests"] >= 1
    young, parts = len({row["fichier"] for row in held}), len(list(life.box.paths.parts.glob("[!.]*")))
    assert parts <= len(fichiers) + 12 * (young + 2), "a signature for each fichier, and what came with the young ones"


def test_the_disks_do_not_fill(life: Life) -> None:
    """What grows does so by what is kept as proof: of a fichier, and here of some weeks of daily work between two."""
    fifth, tenth = (sum(life.box.sizes[year][name] for name in ("book", "journal", "parts")) for year in (5, 10))
    assert (tenth - fifth) / (len(life.box.contents) / 2) < 110 << 10
    for name in ("parts", "transfers", "doors", "lists", "trust", "keys"):
        assert life.box.sizes[10][name] < max(2.5 * life.box.sizes[5][name], 400 << 10), name


def test_the_evidence_of_the_first_year_holds_in_the_ninth(life: Life, tmp_path: Path) -> None:
    original = life.box.contents["f0001.b2"]
    (tmp_path / "original").write_bytes(original)
    done = checked(lay_out(tmp_path / "preuve", read_zip(life.proof)), life.root, tmp_path / "original")
    assert (done.returncode, "NE TIENT PAS" in done.stdout) == (0, False), done.stdout + done.stderr
    assert "recu-1 : dit « integrated »" in done.stdout
    (place := tmp_path / "openssl").mkdir()
    told = typed(life.box, life.proof, place, original)
    assert told.returncode == 0, told.stderr
    shutil.copy(life.box.tsa.folder / "ca.pem", place / "tsa.pem")
    stamp = subprocess.run(["bash", "-ec", stamp_commands()], cwd=place, capture_output=True, text=True)
    assert stamp.returncode == 0, stamp.stderr
    assert life.box.gateway("evidence", life.first, str(tmp_path / "x.zip")).returncode == 65, "after ten years: gone"


def stamp_commands() -> str:
    """What docs/preuve.md says to type for the time stamp."""
    text = (REPO / "docs/preuve.md").read_text(encoding="utf-8")
    return text.partition("## Vérifier avec openssl")[2].split("```")[3].removeprefix("sh\n")


def test_the_cards_followed_one_another(life: Life) -> None:
    with life.box.book() as book:
        signers = book.execute("SELECT rpps, name FROM signers ORDER BY since").fetchall()
    assert (len(signers), len({tuple(row) for row in signers})) == (5, 1), "the same holder"
    assert {row["holder"] for row in life.box.journal("sign")} == {signers[0]["rpps"]}
