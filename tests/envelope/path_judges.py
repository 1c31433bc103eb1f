"""Three judges of one question: the gateway, ``openssl verify`` and pyhanko-certvalidator (mode ``require``).

Each says why not, or "" when the path is valid for the use.  OpenSSL and certvalidator do not know our private
purposes: OpenSSL is asked for a purpose where it has one, certvalidator for key usage and purpose.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from pathlib import Path

from asn1crypto import pem
from asn1crypto.crl import CertificateList
from asn1crypto.x509 import Certificate
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.policy_decl import PKIXValidationParams

from gateway.envelope.certificates import USES, Use, check_path
from gateway.errors import Trouble

OPENSSL_PURPOSES = {
    Use.AUTHENTICATE: ["sslclient"],
    Use.TRANSPORT: ["sslserver", "sslclient"],
    Use.SIGN_FICHIER: ["smimesign"],
}


@dataclass(frozen=True)
class Question:
    """May the owner of ``leaf`` do ``use`` at the moment ``at``?  All certificates and lists DER."""

    leaf: bytes
    chain: list[bytes]
    roots: list[bytes]
    lists: list[bytes]
    use: Use
    at: datetime
    policies: frozenset[str] = frozenset()
    seen: dict[str, int] = field(default_factory=dict)


def read_pem(path: Path) -> list[bytes]:
    """The DER of all that a PEM file holds, however malformed: nothing in it is looked at."""
    data = path.read_bytes()
    return [der for _, _, der in pem.unarmor(data, multiple=True)] if data else []


def gateway(question: Question) -> str:
    q = question
    try:
        check_path(q.leaf, q.chain, q.roots, q.lists, q.at, q.use, policies=q.policies, seen=q.seen)
    except Trouble as trouble:
        return str(trouble)
    return ""


def openssl(question: Question, directory: Path) -> str:
    """Valid for one of the purposes that OpenSSL knows, where it knows any of the use."""
    files = {"root": question.roots, "chain": question.chain, "leaf": [question.leaf], "lists": question.lists}
    for name, contents in files.items():
        label = "X509 CRL" if name == "lists" else "CERTIFICATE"
        (directory / f"{name}.pem").write_bytes(b"".join(pem.armor(label, one) for one in contents))
    answers = [_openssl(question, directory, purpose) for purpose in OPENSSL_PURPOSES.get(question.use, ["any"])]
    return "" if "" in answers else answers[0]


def _openssl(question: Question, directory: Path, purpose: str) -> str:
    command = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-policy_check", "-auth_level", "2"]
    command += ["-attime", str(int(question.at.timestamp())), "-CAfile", "root.pem", "-purpose", purpose]
    command += ["-untrusted", "chain.pem"] if question.chain else []
    command += ["-CRLfile", "lists.pem"] if question.lists else []
    for policy in question.policies:
        command += ["-policy", policy, "-explicit_policy"]
    verdict = subprocess.run([*command, "leaf.pem"], cwd=directory, capture_output=True, text=True, check=False)
    found = re.search(r"error \d+ at \d+ depth lookup: (.*)", verdict.stderr)
    words = found[1] if found else verdict.stderr.strip().splitlines()[-1] if verdict.stderr else "no"
    return "" if verdict.returncode == 0 else words


def certvalidator(question: Question) -> str:
    """Valid for one of the key usages and one of the purposes of the use."""
    row = USES[question.use]
    bits = [{bit.replace("content_commitment", "non_repudiation")} for bit in row.usage]
    purposes = [{purpose.dotted_string} for purpose in row.purposes]
    answers = [_certvalidator(question, bit, purpose) for bit, purpose in product(bits, purposes)]
    return "" if "" in answers else answers[-1]


def _certificates(question: Question) -> tuple[list[bytes], ...]:
    return [question.leaf], question.chain, question.roots


PURPOSE_NAMES = {
    "1.3.6.1.5.5.7.3.1": "server_auth",
    "1.3.6.1.5.5.7.3.2": "client_auth",
    "1.3.6.1.5.5.7.3.4": "email_protection",
}


def _certvalidator(question: Question, usage: set[str], purposes: set[str]) -> str:
    policies = PKIXValidationParams(
        user_initial_policy_set=question.policies or frozenset({"any_policy"}),
        initial_explicit_policy=bool(question.policies),
    )
    try:
        leaf, chain, roots = ([Certificate.load(one) for one in some] for some in _certificates(question))
        lists = [CertificateList.load(one) for one in question.lists]
        context = ValidationContext(trust_roots=roots, crls=lists, moment=question.at, revocation_mode="require")
        validator = CertificateValidator(leaf[0], chain, context, policies)
        asyncio.run(
            validator.async_validate_usage(
                usage,
                {PURPOSE_NAMES.get(one, one) for one in purposes},
                extended_optional=not USES[question.use].declared,
            )
        )
    except (PathError, ValidationError, ValueError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return ""
