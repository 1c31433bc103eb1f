#!/usr/bin/env python3
"""Vérifie la preuve d'un fichier sans rien croire ni installer : Python seul, une page ou deux, à lire d'abord.

    python3 verifier_preuve.py PREUVE.zip EMPREINTE_SHA256_DE_LA_RACINE [ORIGINAL]

Dit chaque chose qui tient et finit par 0 ; à la première qui ne tient pas, la dit et finit par 65 (docs/preuve.md).
"""

import json
import sys
import zipfile
from hashlib import new, sha256
from pathlib import Path

HASHES = {
    "01": "sha256",
    "0b": "sha256",
    "0c": "sha384",
    "0d": "sha512",
    "02": "sha256",
    "03": "sha384",
    "04": "sha512",
}
RSA_SHA256 = (0x30, bytes.fromhex("06092a864886f70d01010b0500"), b"")
USAGES = {"CA": 0x04, "signer": 0x40, "authentifier": 0x80}
ROLES = {
    "OCT": bytes.fromhex("06166983baccfec2f9968a89ebabd2aa80addd85ab7d0202"),
    "journal": bytes.fromhex("06166983baccfec2f9968a89ebabd2aa80addd85ab7d0203"),
}
CURVES = {  # par la longueur d'un point : p, n et le générateur (FIPS 186-4) ; y² = x³ - 3x + b
    65: (2**256 - 2**224 + 2**192 + 2**96 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
         (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
          0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)),
    97: (2**384 - 2**128 - 2**96 + 2**32 - 1,
         0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
         (0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
          0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F)),
}  # fmt: skip


def der(data):  # les éléments d'une suite DER : étiquette, contenu, octets entiers
    found, at = [], 0
    while at < len(data):
        start, tag, size, at = at, data[at], data[at + 1], at + 2
        if size > 127:
            at, size = at + size - 128, number(data[at : at + size - 128])
        found.append((tag, data[at : at + size], data[start : at + size]))
        at += size
    return found


def inside(element, *places):  # les éléments d'un élément, ou de celui qu'on y atteint
    return inside(der(element[1])[places[0]], *places[1:]) if places else der(element[1])


def number(octets):
    return int.from_bytes(octets, "big")


def moment(element):  # UTCTime ou GeneralizedTime, en AAAAMMJJhhmmssZ
    return (("20" if element[1] < b"5" else "19") if element[0] == 0x17 else "") + element[1].decode()


def add(a, b, p):  # deux points d'une courbe
    if a is None or b is None or (a[0] == b[0] and (a[1] + b[1]) % p == 0):
        return None if a and b else a or b
    top, under = (3 * (a[0] ** 2 - 1), 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = top * pow(under, -1, p)
    x = (slope**2 - a[0] - b[0]) % p
    return x, (slope * (a[0] - x) - a[1]) % p


def times(k, point, p):
    return add(times(k // 2, add(point, point, p), p), point if k % 2 else None, p) if k else None


def holds(key, algorithm, message, signature):  # la signature de ce message tient-elle, par cette clé publique ?
    name, bits = HASHES.get(inside(algorithm)[0][1].hex()[-2:]), inside(key)[1][1][1:]
    if name is None:
        check("algorithme de signature connu de ce programme (sinon : openssl)", name)
    digest = new(name, message).digest()
    if bits[0] == 4:  # ECDSA
        (p, n, generator), half = CURVES[len(bits)], len(bits) // 2
        r, s = (number(one[1]) for one in inside(der(signature)[0]))
        scaled = times(number(digest[:half]) * pow(s, -1, n) % n, generator, p)
        public = times(r * pow(s, -1, n) % n, (number(bits[1 : half + 1]), number(bits[half + 1 :])), p)
        return 0 < r < n and (add(scaled, public, p) or (0,))[0] % n == r
    modulus, exponent = (number(one[1]) for one in inside(der(bits)[0]))  # RSA, PKCS #1 v1.5
    size, long, row = (modulus.bit_length() + 7) // 8, len(digest), {32: 1, 48: 2, 64: 3}[len(digest)]
    info = bytes.fromhex(f"30{long + 17:02x}300d060960864801650304020{row}050004{long:02x}") + digest
    block = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    return pow(number(signature), exponent, modulus).to_bytes(size, "big") == block


class Certificate:
    def __init__(self, data):
        self.whole, (tbs, self.algorithm, bits) = data, inside(der(data)[0])
        self.tbs, self.signature, fields = tbs[2], bits[1][1:], [one for one in inside(tbs) if one[0] != 0xA0]
        self.serial, self.issuer, self.subject, self.key = fields[0][1], fields[2][2], fields[4][2], fields[5]
        self.since, self.until = (moment(one) for one in inside(fields[3]))
        extensions = inside(fields[-1], 0) if fields[-1][0] == 0xA3 else []
        self.known = {inside(one)[0][1].hex(): inside(one)[-1][1] for one in extensions}

    def may(
        self, use
    ):  # CA, signer un fichier, s'authentifier : usage de clé ; signer pour l'OCT, le journal : son rôle
        usage = der(self.known["551d0f"])[0][1][1] if "551d0f" in self.known else 0
        if use in USAGES:
            return usage & USAGES[use] and (b"\1\1\xff" in self.known.get("551d13", b"")) == (use == "CA")
        return usage & 0x80 and ROLES[use] in self.known.get("551d25", b"")

    def clears(self, data, other, at):  # cette liste est-elle de moi, de ce moment, et sans l'autre ?
        tbs, algorithm, bits = inside(der(data)[0])
        _, issuer, _, until, *rest = [one for one in inside(tbs) if one[0] != 0x02]
        listed = [inside(one)[0][1] for one in inside(rest[0])] if rest[0][0] == 0x30 else []
        mine = issuer[2] == self.subject and holds(self.key, algorithm, tbs[2], bits[1][1:])
        return mine and at <= moment(until) and other.serial not in listed


def check(what, good):
    print(f"{'tient' if good else 'NE TIENT PAS':12}  {what}")
    if not good:
        sys.exit(65)


def follow(what, leaf, at, use):  # du certificat à la racine, comme il en était à ce moment
    check(f"{what} : certificat fait pour « {use} »", leaf.may(use))
    while sha256(leaf.whole).hexdigest() != root:
        check(f"{what} : « {leaf.serial.hex()} » en cours de validité", leaf.since <= at <= leaf.until)
        above = [one for one in certificates if one.subject == leaf.issuer and one is not leaf and one.may("CA")]
        above = [one for one in above if holds(one.key, leaf.algorithm, leaf.tbs, leaf.signature)]
        check(f"{what} : émis par une autorité de la preuve", above)
        check(f"{what} : non révoqué à ce moment", any(above[0].clears(one, leaf, at) for one in lists))
        leaf = above[0]


def cms(what, data, use):  # une signature CMS : signataire, empreinte signée, contenu s'il est dedans
    fields = inside(der(data)[0], 1, 0)
    _, who, _, attributes, algorithm, signature, *_ = inside(fields[-1], 0)
    named = (inside(who)[0][2], inside(who)[1][1])
    leaf = next((one for one in certificates if (one.issuer, one.serial) == named), None)
    check(f"{what} : signataire dans la preuve", leaf)
    check(f"{what} : signature", holds(leaf.key, algorithm, b"\x31" + attributes[2][1:], signature[1]))
    known = {inside(one)[0][1][-2:].hex(): inside(one, 1)[0] for one in inside(attributes)}
    follow(what, leaf, moment(known["0905"]), use)
    content = inside(fields[2], 1)[0][1] if len(inside(fields[2])) > 1 else None
    check(f"{what} : contenu", content is None or sha256(content).digest() == known["0904"][1])
    return leaf, known["0904"][1].hex(), content


def climb(leaf, seq, size, steps):  # la racine de Merkle où mène un chemin (RFC 9162 §2.1.3.2)
    made, place, last = sha256(b"\0" + leaf).digest(), seq - 1, size - 1
    for step in map(bytes.fromhex, steps):
        right = place % 2 or place == last
        made = sha256(b"\1" + (step + made if right else made + step)).digest()
        while right and place and not place % 2:
            place, last = place // 2, last // 2
        place, last = place // 2, last // 2
    return made.hex()


def main(archive, racine, *original):
    global certificates, lists, root
    files = {name: zipfile.ZipFile(archive).read(name) for name in zipfile.ZipFile(archive).namelist()}
    certificates = [Certificate(data) for name, data in files.items() if name.startswith("certificats/")]
    lists, root = [data for name, data in files.items() if name.startswith("listes/")], racine.lower().replace(":", "")
    told = json.loads(files["preuve.json"])
    _, digest, _ = cms("la signature", files["signature.cms"], "signer")
    for path_ in original:
        check("l'original est ce qui a été signé", sha256(Path(path_).read_bytes()).hexdigest() == digest)
    card, message = Certificate(files["presence.cer"]), bytes.fromhex(told["presence"]["message"])
    follow("la carte", card, told["presence"]["at"], "authentifier")
    check("la carte était là et l'a prouvé", holds(card.key, RSA_SHA256, message, files["presence.sig"]))
    head = None
    for name in sorted(files):
        if name.startswith(("recu-", "arl-")):
            said = json.loads(cms(name, files[name], "OCT")[2].split(b"\n", 1)[1])
            check(f"{name} : parle de ce fichier", said["fichier"] == told["fichier"])
            check(f"{name} : {said['verdict']}", not name.startswith("recu-") or said["digest"] == digest)
            head = said.get("journal_head") or head
    point = json.loads(cms("le journal", files["journal.cms"], "journal")[2])
    for row in told["journal"]:
        made, what = sha256(bytes.fromhex(row["previous"]) + row["text"].encode()).digest(), json.loads(row["text"])
        check(
            f"journal, {what['at']} {what['verb']}",
            climb(made, row["seq"], point["size"], row["path"]) == point["root"],
        )
        if "head" in row:
            check("… contresigné par l'OCT", climb(made, row["seq"], head["size"], row["head"]) == head["root"])


if __name__ == "__main__":
    main(*sys.argv[1:])
