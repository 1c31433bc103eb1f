"""``gateway evidence ID OUT``: the evidence file of one fichier, a ZIP that `openssl` and Python alone can check."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from gateway.commands.keeper import Row, ask, common
from gateway.commands.sections import read_paths
from gateway.disk import sync_directory
from gateway.errors import Deferred, Refused, Scope, os_words
from gateway.formats.words import euros, plural
from gateway.process.keyring import read_certificate

READ_ME = """Preuve du fichier {fichier}
faite par la passerelle {box} le {made}

Empreinte SHA-256 de ce qui a été signé : {digest} ({size} octets)
Signé le {signed} : {shown}
État à ce jour : {state}

Cette page aide à lire ; elle ne prouve rien.  Ce qui prouve est dans les autres fichiers (docs/preuve.md).

Empreinte SHA-256 de la racine, à comparer avec celle que l'OCT publie :
  {root}

Vérifier sans cette passerelle, dans le répertoire où est cette page :
  python3 verifier_preuve.py . {root} [ORIGINAL]
ou, pièce par pièce, avec openssl : les commandes sont dans docs/preuve.md.
"""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = common(subparsers.add_parser("evidence", help="la preuve d'un fichier, que chacun peut vérifier"))
    parser.add_argument("id", metavar="ID", help="le fichier, ou le début de son identifiant")
    parser.add_argument("target", type=Path, metavar="SORTIE", help="le ZIP à faire ; docs/preuve.md le décrit")
    parser.set_defaults(act=write_evidence)


def write_evidence(arguments: argparse.Namespace) -> int:
    """Ask the keeper for it and write it whole or not at all; an existing OUT is left alone."""
    target: Path = arguments.target
    if target.exists():
        raise Refused("CMD-011", f"{target} existe déjà.")
    certificate = read_certificate(read_paths(arguments.config).trust / "root.pem")
    root = hashlib.sha256(certificate).hexdigest()
    told = ask(arguments, {"op": "evidence", "id": arguments.id})
    files = {name: base64.b64decode(content) for name, content in told["files"].items()}
    files["LISEZ-MOI.txt"] = _read_me(told, root).encode()
    made = target.with_name(f".{target.name}")
    try:
        with made.open("wb") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in sorted(files.items()):
                    archive.writestr(name, content)
            out.flush()
            os.fsync(out.fileno())
        made.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise Deferred("CMD-012", f"{target} ne peut pas être écrit : {os_words(error)}.", Scope.BOX) from None
    answer = {"id": told["id"], "file": str(target), "root": root}
    print(json.dumps(answer) if arguments.json else f"{target} : preuve de {told['id'][:8]}. Racine : {root}")
    return 0


def _read_me(answer: Row, root: str) -> str:
    told = answer["told"]
    context = told.pop("context")
    shown = "sans contexte" if context is None else (
        f"{plural(context['count'], 'facture')}, {euros(context['total'])}, règle « {context['policy']} »"
    )  # fmt: skip
    return READ_ME.format(**told, fichier=answer["id"], shown=shown, root=root)
