"""``gateway pesit serve|send|get|message|drill``: PeSIT from a shell.

The words of each verb; what it does is in a module of its own, loaded when it is typed.  Rules: Ctrl-C suspends a
transfer (IDT 8) so that it can be taken up, and cuts the line if that does not come about.  What cannot be done is
raised as Refused or Deferred; ``gateway.__main__`` says it and sets the exit code.
"""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from pathlib import Path
from typing import Any

from gateway.commands import pesit_options as options
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
from gateway.pesit.profiles import PROFILES


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``pesit`` and its verbs; each sets ``act``, from the arguments to the exit code."""
    parser = subparsers.add_parser("pesit", help="servir, envoyer, relever par PeSIT")
    verbs = parser.add_subparsers(required=True, metavar="VERBE")
    _add_serve(verbs.add_parser("serve", help="recevoir dans un répertoire, offrir les fichiers d'un autre"))
    _add_send(verbs.add_parser("send", help="envoyer un fichier"))
    _add_get(verbs.add_parser("get", help="relever un fichier"))
    _add_message(verbs.add_parser("message", help="laisser un message, ou l'acquittement d'un fichier"))
    drill = verbs.add_parser("drill", help="essayer chaque adresse d'un correspondant, celles de secours d'abord")
    options.add_calling(drill, "--to")
    drill.set_defaults(act=partial(_act, "pesit_call:drill"))


def _act(place: str, arguments: argparse.Namespace) -> int:
    """Run the function at ``module:name``: what the other verbs need is never loaded."""
    module, _, name = place.partition(":")
    return int(getattr(importlib.import_module(f"gateway.commands.{module}"), name)(arguments))


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--listen", type=_listen, required=True, metavar="HÔTE:PORT", help="port 0 : un port libre")
    add("--name", required=True, metavar="ID", help="notre identifiant (PI 4)")
    add("--directory", type=Path, required=True, metavar="RÉPERTOIRE", help="où arrivent les fichiers")
    add("--outgoing", type=Path, metavar="RÉPERTOIRE", help="fichiers qui peuvent être relevés, par leur nom")
    add("--partner", action="append", default=[], metavar="ID:MOT_DE_PASSE", help="qui peut venir ; répétable")
    add("--partners", type=Path, metavar="FICHIER", help="les mêmes, en TOML : voir docs/pesit.md")
    add("--framing", type=Framing, choices=list(Framing), default=Framing.AUTO, help="reconnu si rien n'est dit")
    add("--name-in", type=int, choices=[12, 37, 99], default=12, help="paramètre (PI) qui nomme le fichier reçu")
    add("--route", action="append", default=[], type=_route, metavar="NOM=URL", help="relais vers un PI 62 ; répétable")
    add("--binary", action="store_true", help="garder les octets des articles, même d'un texte")
    add("--limit", type=options.number(0, 1 << 50), default=0, metavar="OCTETS", help="taille maximale d'un fichier")
    add("--connections", type=options.number(1, 4096), default=64, metavar="N", help="liaisons simultanées")
    add("--profile", choices=list(PROFILES), default="standard", help="à qui sont envoyés les fichiers relevés")
    add("--entity", type=options.number(7, 65535), default=65535, metavar="N", help="entité accordée au plus (PI 25)")
    add("--sync", type=options.number(0, 65535), default=1024, metavar="KO", help="intervalle accordé au plus (PI 7)")
    add("--window", type=options.number(0, 255), default=16, metavar="N", help="fenêtre accordée au plus (PI 7)")
    add("--compress", choices=[kind.name.lower() for kind in Compression], default="both", help="compression admise")
    options.add_form(parser)
    options.add_tls(parser)
    options.add_common(parser)
    parser.set_defaults(act=partial(_act, "pesit_serve:serve_directory"), pre_connection=None)


def _route(text: str) -> tuple[str, options.Where]:
    name, found, address = text.partition("=")
    if not (name and found):
        raise argparse.ArgumentTypeError("NOM=pesit://IDENTIFIANT:MOT_DE_PASSE@HÔTE:PORT/SERVEUR attendu")
    return name, options.where(address)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError("HÔTE:PORT attendu")
    return host.strip("[]"), options.number(0, 65535)(port)


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FICHIER", help="ce qui est à envoyer")
    options.add_calling(parser, "--to")
    parser.add_argument("--as", dest="name", required=True, metavar="NOM", help="nom du fichier ou du flux (PI 12)")
    _add_identity(parser)
    parser.add_argument("--label", metavar="TEXTE", help="libellé (PI 37) ; celui du profil : le nom du fichier local")
    parser.add_argument("--note", metavar="TEXTE", help="message libre (PI 99) ; celui du profil : le nom du fichier")
    parser.add_argument("--restart", action="store_true", help="reprendre l'envoi coupé, s'il y en a un")
    parser.add_argument("--context", type=Path, metavar="RÉPERTOIRE", help="où garder de quoi reprendre")
    options.add_form(parser)
    parser.set_defaults(act=partial(_act, "pesit_send:send"))


def _add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NOM", help="nom du fichier chez le correspondant (PI 12)")
    parser.add_argument("out", type=Path, metavar="SORTIE", help="fichier, remplacé d'un coup ; ou répertoire")
    options.add_calling(parser, "--from")
    _add_identity(parser)
    parser.add_argument("--restart", action="store_true", help="reprendre la relève coupée, s'il y en a une")
    parser.add_argument("--context", type=Path, metavar="RÉPERTOIRE", help="où garder de quoi reprendre")
    parser.add_argument("--binary", action="store_true", help="garder les octets des articles, même d'un texte")
    parser.add_argument("--code-page", type=options.code_page, metavar="PAGE", help="page EBCDIC du correspondant")
    parser.set_defaults(act=partial(_act, "pesit_get:get"))


def _add_message(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXTE", help="le message (PI 91)")
    options.add_calling(parser, "--to")
    about = parser.add_mutually_exclusive_group(required=True)
    about.add_argument("--about", type=_about, metavar="NOM:ID", help="le fichier dont il s'agit : PI 12 et PI 13")
    about.add_argument("--free", metavar="NOM", help="message libre de ce nom")
    parser.add_argument("--created", default="", metavar="AAMMJJhhmmss", help="date de création du fichier (PI 51)")
    parser.add_argument("--answer", action="store_true", help="demander un texte en réponse")
    _add_identity(parser)
    parser.set_defaults(act=partial(_act, "pesit_call:message"))


def _add_identity(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--entity", type=options.number(7, 65535), metavar="N", help="taille d'entité proposée (PI 25)")
    add("--file-type", type=options.number(0, 65535), default=0, metavar="N", help="type de fichier (PI 11)")
    add("--priority", type=options.number(0, 2), default=1, metavar="N", help="0 urgent, 1 normal, 2 lent (PI 17)")
    add("--origin", default="", metavar="ID", help="émetteur d'origine (PI 61)")
    add("--final", default="", metavar="ID", help="destinataire final (PI 62)")


def _about(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition(":")
    if not name:
        raise argparse.ArgumentTypeError("NOM:ID attendu")
    return name, options.number(0, options.LARGEST_ID)(number)
