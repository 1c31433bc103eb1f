"""``gateway restore``: the passphrase of a recovery key is the one that was typed when it was made."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from gateway.commands.backup import read_recovery_key
from gateway.errors import Refused

PHRASES = ("une phrase secrète", "une phrase qui finit par un blanc ", "\tet une autre")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("phrase", PHRASES)
def test_the_file_of_a_passphrase_is_read_as_at_enrolment(tmp_path: Path, phrase: str, ending: str) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    encryption = BestAvailableEncryption(phrase.encode())
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (tmp_path / "phrase").write_bytes(f"{phrase}{ending}".encode())
    assert read_recovery_key(tmp_path / "key", tmp_path / "phrase").public_key() == key.public_key()
    (tmp_path / "phrase").write_bytes(b"une autre phrase")
    with pytest.raises(Refused) as caught:
        read_recovery_key(tmp_path / "key", tmp_path / "phrase")
    assert caught.value.code == "CMS-041"
