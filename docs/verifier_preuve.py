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

# Par quoi commence la réponse d'une carte à son défi ; les pièces, dont la dernière est celle qu'on regarde.
number, PRESENT, looked_at = int.from_bytes, b"oct-gateway/card-auth/1", ["la preuve"]

# Des OID en DER : l'arc privé de la passerelle ; les attributs qu'un signataire signe (RFC 5652 §11, RFC 5035 §3).
PKCS9, ARC = "2a864886f70d0109", "6983baccfec2f9968a89ebabd2aa80addd85ab7d"
TYPE, DIGEST, TIME, NAMED, CONTEXT = PKCS9 + "03", PKCS9 + "04", PKCS9 + "05", PKCS9 + "10022f", ARC + "0101"

# Ce pour quoi est fait un certificat : de ces bits de son usage de clé, ceux qu'il faut ; et l'usage étendu qu'il faut.
COMMON_NAME, EVALUATED = b"\6\3\x55\4\3", ("551d0f", "551d13", "551d25")  # usage, contraintes de base, usage étendu
USES = {"autorité": (6, 6, b""), "signer": (64, 64, b""), "présence": (192, 128, b"")}
USES |= {who: (128, 128, bytes.fromhex("0616" + ARC + end)) for who, end in (("OCT", "0202"), ("journal", "0203"))}

# P-256 et P-384, par la longueur d'un point : p, n et le générateur (FIPS 186-4 §D.1.2) ; y² = x³ - 3x + b.
# fmt: off
CURVES = {65: (2**256 - 2**224 + 2**192 + 2**96 - 1, 2**256 - 2**224 + 2**192 - 0x4319055258E8617B0C46353D039CDAAF,
               (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
                0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)),
          97: (2**384 - 2**128 - 2**96 + 2**32 - 1, 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
               (0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
                0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F))}
# fmt: on


def check(what, good):
    line = f"{'tient' if good else 'NE TIENT PAS':12}  {looked_at[-1]} : {what}"
    print(line if line.isprintable() else ascii(line))  # rien de ce que d'autres ont écrit ne commande au terminal
    good or sys.exit(65)


def der(data, *places):  # les éléments (étiquette, contenu, octets entiers) d'une suite, ou de celui qu'on y atteint
    found, at = [], 0
    while at < len(data):
        start = at + 2 + (wide := max(data[at + 1] - 128, 0))  # la longueur est d'un octet, ou de ceux qu'il annonce
        end = start + (size := number(data[at + 2 : start] or data[at + 1 : start]))
        if end > len(data) or wide != (size > 127 and (size.bit_length() + 7) // 8) or len(found) > 10**6:
            raise ValueError("pas du DER, ou sans fin")
        found.append((data[at], data[start:end], data[at:end]))
        at = end
    return der(found[places[0]][1], *places[1:]) if places else found


# ---------------------------------------------------------------- signatures (RFC 8017 §8.2, FIPS 186-4 §6.4)


def add(a, b, p):  # la somme de deux points d'une courbe ; de deux opposés, qui n'en ont pas, pow refuse le calcul
    slope = (3 * a[0] ** 2 - 3) * pow(2 * a[1], -1, p) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, p)
    return (x := (slope**2 - a[0] - b[0]) % p), (slope * (a[0] - x) - a[1]) % p


def times(k, point, p):
    half = times(k // 2, add(point, point, p), p) if k > 1 else None
    return add(half, point, p) if half and k % 2 else half or point


def holds(key, digest, signature):  # cette clé publique a-t-elle signé cette empreinte ?
    bits, long = der(key[1])[1][1][1:], len(digest)
    if bits[0] != 4:  # pas un point : RSA, un module et un exposant
        (n, e), s = (number(one[1]) for one in der(bits, 0)), number(signature)
        info = bytes.fromhex(f"30{long + 17:02x}300d060960864801650304020{long // 16 - 1}050004{long:02x}") + digest
        block = b"\0\1" + (b"\0" + info).rjust((n.bit_length() + 7) // 8 - 2, b"\xff")
        return 2**2047 < n > s and e > 2 and pow(s, e, n) == number(block) and len(signature) == len(block)
    (p, n, base), half, (r, s) = CURVES[len(bits)], len(bits) // 2, (number(one[1]) for one in der(signature, 0))
    u, v = (one * pow(s, -1, n) % n for one in (number(digest[:half]), r))
    point = number(bits[1 : half + 1]), number(bits[half + 1 :])
    ours, other = ((y**2 - x**3 + 3 * x) % p for x, y in (base, point))  # b, qui fait la courbe où est un point
    return s < n and ours == other and 0 < r == add(times(u, base, p), times(v, point, p), p)[0] % n


def signed(key, message, signature):
    return any(holds(key, new(name, message).digest(), signature) for name in ("sha256", "sha384", "sha512"))


# ---------------------------------------------------------------- certificats et listes de révocation (RFC 5280)


class Certificate:  # les dates se comparent telles quelles : UTCTime (0x17) jusqu'à 2049, GeneralizedTime (0x18) après
    def __init__(self, data):
        _, self.serial, _, self.issuer, self.dates, self.subject, self.key, *_, extra = der(data, 0, 0)
        self.data, self.known = data, {kind[1].hex(): rest for kind, *rest in (der(one[1]) for one in der(extra[1], 0))}
        names = [one[1] for many in der(self.subject[1]) for one in der(many[1]) if one[1].startswith(COMMON_NAME)]
        self.name = " + ".join(der(one)[1][1].decode(errors="replace") for one in names)

    def made(self, data, issuer):  # ai-je signé ce certificat, ou cette liste ?
        body, algorithm, bits = der(data, 0)
        return issuer == self.subject and algorithm in der(body[1]) and signed(self.key, body[2], bits[1][1:])

    def lists(self, data, serial, at):  # ce numéro est-il sur cette liste ? None, si elle n'est pas de moi, et d'alors
        _, _, issuer, since, until, *listed, extensions = der(data, 0, 0)
        whole = since <= at <= until < (0x19,) and all(der(one[1])[1][0] != 1 for one in der(extensions[1], 0))
        revoked = (der(one[1])[0] for block in listed for one in der(block[1]))
        return serial in revoked if whole and self.made(data, issuer) else None


# ---------------------------------------------------------------- les pièces


def opened(name, use, at=None, contents=()):  # une pièce signée : son certificat, ses attributs signés, son contenu
    looked_at.append(name)
    _, _, held, *_, signers = der(files[name + ".cms"], 0, 1, 0)
    (kind, *inside), (signer,) = der(held[1]), der(signers[1])
    *covered, _, signature = [one for one in der(signer[1])[3:] if one[0] != 0xA1]
    pairs = [(der(one[1])[0][1].hex(), each) for many in covered[:1] for one in der(many[1]) for each in der(one[1], 1)]
    said, contents = dict(pairs), [*contents, *(der(one[1])[0][1] for one in inside)]
    ders = [b64decode(one) for one in (files[name + ".pem"] + files["listes.pem"]).decode().split("-----")[2:400:4]]
    at, (leaf, sector, top) = at or said[TIME], map(Certificate, ders[:3])
    check("sous la racine que vous avez donnée", sha256(top.data).hexdigest() == root.lower().replace(":", ""))
    for above, one, role in ((top, sector, "autorité"), (sector, leaf, use)):
        check(f"« {one.name} » émis par « {above.name} »", above.made(one.data, one.issuer))
        (mask, bits, purpose), allowed = USES[role], above.known.get(EVALUATED[2])
        usage, basic, given = (one.known.get(each, [(0, bytes(4))])[-1][1] for each in EVALUATED)
        known = {kind for kind, each in one.known.items() if each[0][0] == 1} <= {*EVALUATED}  # ce qui est critique
        given = known and purpose in given and (not allowed or purpose in allowed[-1][1]) and usage[3] & mask == bits
        check(f"« {one.name} » fait pour « {role} »", given and (b"\1\1\xff" in basic) == (role == "autorité"))
        check(f"« {one.name} » en cours de validité", der(one.dates[1])[0] <= at <= der(one.dates[1])[1])
        check(f"« {one.name} » non révoqué", {above.lists(crl, one.serial, at) for crl in ders[3:]} - {None} == {False})
    message = b"\x31" + covered[0][2][1:] if covered else contents[0]
    check("signature (RSA PKCS #1 v1.5 ou ECDSA)", signed(leaf.key, message, signature[1]))
    if covered:
        check("attributs signés, chacun une fois", len(said) == len(pairs) and said[TYPE] == kind)
        check("signé avec ce certificat", der(said[NAMED][1], 0, 0)[0][1] == sha256(leaf.data).digest())
        for one in contents:
            check("contenu signé", sha256(one).digest() == said[DIGEST][1])
    return leaf, said, b"".join(contents[:1])


def climbs(leaf, place, size, steps):  # la racine où ce chemin mène, dans un arbre de cette taille (RFC 9162 §2.1.3)
    if size < 2 or not steps:
        return leaf if (place, size, steps) == (0, 1, []) else bytes(32)
    left, step = 1 << (size - 1).bit_length() - 1, bytes.fromhex(steps[-1])  # les feuilles du sous-arbre de gauche
    below = climbs(leaf, *((place, left) if place < left else (place - left, size - left)), steps[:-1])
    return sha256(b"\1" + (below + step if place < left else step + below)).digest()


sys.excepthook = lambda kind, *_: check("complet et lisible", False) if issubclass(kind, Exception) else sys.exit(70)
archive, root, *original = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
proof, head, pieces, named, place, last = zipfile.ZipFile(archive), {"size": 0}, {}, {}, -1, ()
size = sum(one.file_size if one.compress_type in (0, 8) else 2**25 for one in proof.infolist())  # tel quel, « deflate »
files = {one: proof.open(one).read(2**25) for one in proof.namelist() if size < 2**25}
check("sans démesure, ni nom en double", len(files) == len(proof.namelist()) < 1000)
card, said, _ = opened("signature", "signer", None, [Path(one).read_bytes() for one in original])
_, fichier, count, total, rule, *_, challenge = (one[1] for one in der(said[CONTEXT][1]))
fichier, amount, digest, moment = fichier.decode(), number(total, signed=True) / 100, said[DIGEST][1].hex(), said[TIME]
check(f"signé le {moment[1].decode()} : {number(count)} facture(s), {amount:.2f} €, règle « {rule.decode()} »", True)
point, (auth, _, message) = json.loads(opened("journal", "journal")[2]), opened("presence", "présence", moment)
check("la même carte était là", message[:-32] == PRESENT + point["box"].encode() + challenge and auth.name == card.name)
for name in sorted({one.rpartition(".")[0] for one in files if one.startswith(("recu-", "arl-"))}):
    header, told = map(json.loads, opened(name, "OCT")[2].split(b"\n", 1))
    known = None if told["verdict"] == "unopened" else digest  # l'OCT n'a pu ouvrir le scellé : il n'a rien lu
    check(f"dit « {told['verdict']} » de ce fichier", (told["fichier"], told.get("digest", known)) == (fichier, known))
    head = max(head, told.get("journal_head") or head, key=lambda one: one["size"])
    pieces[sha256(files[name + ".cms"]).hexdigest()] = header["kind"]
looked_at.append("journal.json")
for row in json.loads(files["journal.json"]):
    what, made = json.loads(row["text"]), sha256(bytes.fromhex(row["previous"]) + row["text"].encode()).digest()
    leaf, before, place = sha256(b"\0" + made).digest(), place, what["seq"] - 1
    inside = before < place and climbs(leaf, place, point["size"], row["path"]).hex() == point["root"]
    check(f"{what['at']} {what['verb']}", inside and (what["fichier"], point["chain"]) == (fichier, "evidence"))
    if place < head["size"]:
        check("… contresigné par l'OCT", climbs(leaf, place, head["size"], row["head"]).hex() == head["root"])
    if what.get("kind") in ("receipt", "arl") and "exhibits" in what:  # sinon, trop parlante : non gardée
        named[what.get("signed") or what["exhibits"][-1]] = what["kind"]
    last = (what["verb"], what["certificate"]) if what["verb"] in ("sign", "retract") else last
check("chaque reçu, chaque ARL qu'il nomme est là, et nul autre", pieces == named)
check("cette carte a signé, en dernier", last == ("sign", sha256(card.data).hexdigest()))
