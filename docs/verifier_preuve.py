#!/usr/bin/env python3
"""Vérifie la preuve d'un fichier sans rien croire ni installer : Python (3.11) seul, deux pages à lire d'abord.

    python3 verifier_preuve.py PREUVE.zip EMPREINTE_SHA256_DE_LA_RACINE [ORIGINAL]

Dit chaque chose qui tient et finit par 0 ; à la première qui ne tient pas, la dit et finit par 65 (docs/preuve.md).
"""

import json
import sys
import zipfile
from base64 import b64decode
from hashlib import new, sha256
from pathlib import Path

number = int.from_bytes

# Des OID en DER : l'arc privé de la passerelle ; les attributs qu'un signataire signe (RFC 5652 §11, RFC 5035 §3).
PKCS9, ARC = "2a864886f70d0109", "6983baccfec2f9968a89ebabd2aa80addd85ab7d"
DIGEST, TIME, NAMED, CONTEXT = PKCS9 + "04", PKCS9 + "05", PKCS9 + "10022f", ARC + "0101"

# Ce pour quoi est fait un certificat : les bits de son usage de clé, et l'usage étendu qu'il lui faut (dans notre arc).
USES = {"autorité": (6, ""), "signer": (64, ""), "présence": (128, ""), "OCT": (128, "0202"), "journal": (128, "0203")}

# P-256 et P-384, par la longueur d'un point : p, n et le générateur (FIPS 186-4 §D.1.2) ; y² = x³ - 3x + b.
# fmt: off
CURVES = {
    65: (2**256 - 2**224 + 2**192 + 2**96 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
         (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
          0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)),
    97: (2**384 - 2**128 - 2**96 + 2**32 - 1,
         0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
         (0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
          0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F))}
# fmt: on

looked_at = ["la preuve"]  # les pièces, la dernière étant celle qu'on regarde


def check(what, good):
    print(f"{'tient' if good else 'NE TIENT PAS':12}  {looked_at[-1]} : {what}")
    if not good:
        sys.exit(65)


def der(data, *places):  # les éléments (étiquette, contenu, octets entiers) d'une suite, ou de celui qu'on y atteint
    found, at = [], 0
    while at < len(data):
        start = at + 2 + max(data[at + 1] - 128, 0)  # la longueur tient sur un octet, ou sur ceux qu'il annonce
        end = start + number(data[at + 2 : start] or data[at + 1 : start])
        found.append((data[at], data[start:end], data[at:end]))
        at = end
    return der(found[places[0]][1], *places[1:]) if places else found


# ---------------------------------------------------------------- signatures (RFC 8017 §8.2, FIPS 186-4 §6.4)


def add(a, b, p):  # la somme de deux points d'une courbe ; de deux opposés, qui n'en ont pas, pow refuse le calcul
    slope = (3 * a[0] ** 2 - 3) * pow(2 * a[1], -1, p) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, p)
    x = (slope**2 - a[0] - b[0]) % p
    return x, (slope * (a[0] - x) - a[1]) % p


def times(k, point, p):
    half = times(k // 2, add(point, point, p), p) if k > 1 else None
    return add(half, point, p) if half and k % 2 else half or point


def holds(key, digest, signature):  # cette clé publique a-t-elle signé cette empreinte ?
    bits, long = der(key[1])[1][1][1:], len(digest)
    if bits[0] != 4:  # pas un point : RSA, un module et un exposant
        modulus, exponent = (number(one[1]) for one in der(bits, 0))
        info = bytes.fromhex(f"30{long + 17:02x}300d060960864801650304020{long // 16 - 1}050004{long:02x}") + digest
        block = b"\0\1" + (b"\0" + info).rjust((modulus.bit_length() + 7) // 8 - 2, b"\xff")
        return pow(number(signature), exponent, modulus) == number(block)
    (p, n, base), half = CURVES[len(bits)], len(bits) // 2
    r, s = (number(one[1]) for one in der(signature, 0))
    u, v = (one * pow(s, -1, n) % n for one in (number(digest[:half]), r))
    point = number(bits[1 : half + 1]), number(bits[half + 1 :])
    return 0 < r == add(times(u, base, p), times(v, point, p), p)[0] % n


def signed(key, message, signature):
    return any(holds(key, new(name, message).digest(), signature) for name in ("sha256", "sha384", "sha512"))


# ---------------------------------------------------------------- certificats et listes de révocation (RFC 5280)


class Certificate:  # les dates se comparent telles quelles : UTCTime (0x17) jusqu'à 2049, GeneralizedTime (0x18) après
    def __init__(self, data):
        _, self.serial, _, self.issuer, dates, self.subject, self.key, *_, extensions = der(data, 0, 0)
        self.data, (self.since, self.until) = data, der(dates[1])
        self.known = {der(one[1])[0][1].hex(): der(one[1])[-1][1] for one in der(extensions[1], 0)}
        self.name = der(self.subject[1].split(b"\6\3\x55\4\3")[1])[0][1].decode()  # ce qui suit l'OID de commonName

    def may(self, use, above):  # est-il fait pour cela, et celui d'au-dessus donne-t-il cet usage ?
        (bits, end), usage, basic = USES[use], *(self.known.get(one, bytes(4)) for one in ("551d0f", "551d13"))
        purpose = bytes.fromhex(end and ARC + end)
        given = purpose in self.known.get("551d25", b"") and purpose in above.known.get("551d25", purpose)
        return given and usage[3] & bits == bits and (b"\1\1\xff" in basic) == (use == "autorité")

    def made(self, data, issuer):  # ai-je signé ce certificat, ou cette liste ?
        body, _, bits = der(data, 0)
        return issuer == self.subject and signed(self.key, body[2], bits[1][1:])

    def clears(self, data, serial, at):  # cette liste est-elle de moi, entière, pas échue alors, et sans ce numéro ?
        _, _, issuer, _, until, *listed, extensions = der(data, 0, 0)
        revoked = [der(one[1])[0] for block in listed for one in der(block[1])]
        whole = at <= until < (0x19,) and b"\x06\x03\x55\x1d\x1b" not in extensions[1]
        return whole and serial not in revoked and self.made(data, issuer)


def pem(name):
    return [b64decode(one) for one in proof.read(name).decode().split("-----")[2::4]]


# ---------------------------------------------------------------- les pièces


def opened(name, use, at=None, contents=()):  # une pièce signée : son certificat, ses attributs signés, son contenu
    looked_at.append(name)
    _, _, held, *_, signers = der(proof.read(name + ".cms"), 0, 1, 0)
    *covered, _, signature = [one for one in der(signers[1], 0)[3:] if one[0] != 0xA1]
    said = {der(one[1])[0][1].hex(): der(one[1], 1)[0] for block in covered[:1] for one in der(block[1])}
    contents, at = [der(one[1])[0][1] for one in der(held[1])[1:]] or contents, at or said[TIME]
    leaf, sector, top = map(Certificate, pem(name + ".pem"))
    check("sous la racine que vous avez donnée", sha256(top.data).hexdigest() == root)
    for above, one, role in ((top, sector, "autorité"), (sector, leaf, use)):
        check(f"« {one.name} » émis par « {above.name} »", above.made(one.data, one.issuer))
        check(f"« {one.name} » fait pour « {role} »", one.may(role, above))
        check(f"« {one.name} » en cours de validité", one.since <= at <= one.until)
        check(f"« {one.name} » non révoqué", any(above.clears(each, one.serial, at) for each in pem("listes.pem")))
    message = b"\x31" + covered[0][2][1:] if covered else contents[0]
    check("signature (RSA PKCS #1 v1.5 ou ECDSA)", signed(leaf.key, message, signature[1]))
    if covered:
        check("signé avec ce certificat", der(said[NAMED][1], 0, 0)[0][1] == sha256(leaf.data).digest())
        for one in contents:
            check("contenu signé", sha256(one).digest() == said[DIGEST][1])
    return leaf, said, b"".join(contents[:1])


def climbs(leaf, place, size, steps):  # la racine où ce chemin mène, dans un arbre de cette taille (RFC 9162 §2.1.3)
    if size < 2 or not steps:
        return leaf if (place, size, steps) == (0, 1, []) else b""
    left, step = 1 << (size - 1).bit_length() - 1, bytes.fromhex(steps[-1])  # les feuilles du sous-arbre de gauche
    if place < left:
        return sha256(b"\1" + climbs(leaf, place, left, steps[:-1]) + step).digest()
    return sha256(b"\1" + step + climbs(leaf, place - left, size - left, steps[:-1])).digest()


sys.excepthook = lambda *_: check("complet et lisible", False)
archive, root, *original = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
root, proof = root.lower().replace(":", ""), zipfile.ZipFile(archive)
card, said, _ = opened("signature", "signer", None, [Path(one).read_bytes() for one in original])
_, fichier, count, total, rule, *_, challenge = (one[1] for one in der(said[CONTEXT][1]))
fichier, amount, digest, moment = fichier.decode(), number(total, signed=True) / 100, said[DIGEST][1].hex(), said[TIME]
print(f"signé le {moment[1].decode()} : {number(count)} facture(s), {amount:.2f} €, règle « {rule.decode()} »")
point = json.loads(opened("journal", "journal")[2])
present, _, message = opened("presence", "présence", moment)
bound = b"oct-gateway/card-auth/1" + point["box"].encode() + challenge
check("la même carte était là", message.startswith(bound) and present.name == card.name)
head = {"size": 0}
for name in sorted({one.rpartition(".")[0] for one in proof.namelist() if one.startswith(("recu-", "arl-"))}):
    told = json.loads(opened(name, "OCT")[2].split(b"\n", 1)[1])
    known = None if told["verdict"] == "unopened" else digest  # l'OCT n'a pu ouvrir le scellé : il n'a rien lu
    check(f"dit « {told['verdict']} » de ce fichier", (told["fichier"], told.get("digest", known)) == (fichier, known))
    head = max(head, told.get("journal_head") or head, key=lambda one: one["size"])
looked_at.append("journal.json")
pieces = {sha256(proof.read(one)).hexdigest() for one in proof.namelist()}
rows, signer = json.loads(proof.read("journal.json")), sha256(card.data).hexdigest()
for row in rows:
    what, made = json.loads(row["text"]), sha256(bytes.fromhex(row["previous"]) + row["text"].encode()).digest()
    leaf, place = sha256(b"\0" + made).digest(), what["seq"] - 1
    inside = climbs(leaf, place, point["size"], row["path"]).hex() == point["root"]
    check(f"{what['at']} {what['verb']}", inside and what["fichier"] == fichier)
    if place < head["size"]:
        check("… contresigné par l'OCT", climbs(leaf, place, head["size"], row["head"]).hex() == head["root"])
    if what.get("kind") in ("receipt", "arl"):
        check("… la pièce est là", pieces & {what.get("signed"), *what["exhibits"]})
check("cette carte a signé", any('"verb":"sign"' in row["text"] and signer in row["text"] for row in rows))
