#!/usr/bin/env python3
"""Vérifie la preuve d'un fichier sans rien croire ni installer : Python (3.11) seul, cent lignes à lire d'abord.

    python3 -m zipfile -e PREUVE.zip PREUVE
    python3 verifier_preuve.py PREUVE EMPREINTE_SHA256_DE_LA_RACINE [ORIGINAL]

Dit chaque chose qui tient et finit par 0 ; à la première qui ne tient pas, la dit et finit par 65 (docs/preuve.md).
"""

import json
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

# Par quoi commence la réponse d'une carte à son défi ; les pièces, dont la dernière est celle qu'on regarde.
number, PRESENT, looked_at = int.from_bytes, b"oct-gateway/card-auth/1", ["la preuve"]

# Des OID en DER : les attributs qu'un signataire signe (RFC 5652 §11, RFC 5035 §3) ; l'arc privé de la passerelle ;
# ce qui se lit d'un certificat : son usage de clé, ses contraintes de base, son usage étendu (RFC 5280 §4.2.1).
TYPE, DIGEST, TIME, NAMED = ("2a864886f70d0109" + end for end in ("03", "04", "05", "10022f"))
ARC, USAGE, BASIC, EXTENDED = "6983baccfec2f9968a89ebabd2aa80addd85ab7d", "551d0f", "551d13", "551d25"

# Ce pour quoi est fait un certificat : de ces bits de son usage, ceux qu'il faut ; une extension, et ce qu'il y faut.
USES = {"autorité": (6, 6, BASIC, b"\1\1\xff"), "signer": (64, 64, USAGE, b""), "présence": (192, 128, USAGE, b"")}
USES |= {use: (128, 128, EXTENDED, bytes.fromhex(f"0616{ARC}020{n}")) for use, n in (("OCT", 2), ("journal", 3))}


def check(what, good=True):  # rien de ce que d'autres ont écrit ne commande au terminal
    print("".join(filter(str.isprintable, f"{'tient' if good else 'NE TIENT PAS':12}  {looked_at[-1]} : {what}")))
    good or sys.exit(65)


def der(data, *places):  # les éléments (étiquette, contenu, octets entiers) d'une suite, ou de celui qu'on y atteint
    found, at = [], 0
    while at < len(data):
        start = at + 2 + max(data[at + 1] - 128, 0)  # la longueur est d'un octet, ou de ceux qu'il annonce
        end = start + number(data[at + 2 : start] or data[at + 1 : start])
        found.append((data[at], data[start:end], data[at:end]))
        at = end
    return der(found[places[0]][1], *places[1:]) if places else found


def holds(key, message, signature):  # cette clé RSA a-t-elle signé ? SHA-256, PKCS #1 v1.5 ou PSS (RFC 8017 §8.2, §8.1)
    (n, e), digest = (number(one[1]) for one in der(der(key[1])[1][1][1:], 0)), sha256(message).digest()
    block = pow(s := number(signature), e, n).to_bytes(size := (n.bit_length() + 7) // 8)
    simple = b"\0\1" + (bytes.fromhex("003031300d060960864801650304020105000420") + digest).rjust(size - 2, b"\xff")
    mask = b"".join(sha256(block[-33:-1] + bytes((0, 0, 0, one))).digest() for one in range(size // 32))[: size - 33]
    salt = (number(block[:-33]) ^ number(mask)) % 2 ** (8 * len(mask) - 1) ^ 2**256
    pss = salt < 2**256 and block[-33:] == sha256(bytes(8) + digest + salt.to_bytes(32)).digest() + b"\xbc"
    return 2**2047 < n > s and e > 2 and len(signature) == size and (block == simple or (block[0] < 128 and pss))


class Certificate:
    def __init__(self, data):
        _, self.serial, _, self.issuer, self.dates, self.subject, self.key, *_, extra = der(data, 0, 0)
        extensions = [der(one[1]) for one in der(extra[1], 0)]
        self.data, self.known = data, {one[0][1].hex(): one[-1][1] for one in extensions}
        self.odd = {one[0][1].hex() for one in extensions if one[1][0] == 1} - {USAGE, BASIC, EXTENDED}  # critiques
        names = [der(one[1]) for many in der(self.subject[1]) for one in der(many[1]) if one[1][:5] == b"\6\3\x55\4\3"]
        self.name = " + ".join(str(one[1][1], errors="backslashreplace") for one in names) or self.serial[1].hex()

    def made(self, data, issuer):  # ai-je signé ce certificat, ou cette liste ?
        return issuer == self.subject and holds(self.key, der(data, 0)[0][2], der(data, 0)[2][1][1:])

    def lists(self, data, serial, at):  # ce numéro est-il sur cette liste ? None, si elle n'est pas de moi, et d'alors
        _, _, issuer, since, until, *listed, extensions = der(data, 0, 0)
        then = since <= at <= until < (0x18,) and all(der(one[1])[1][0] != 1 for one in der(extensions[1], 0))
        return serial in (der(x[1])[0] for b in listed for x in der(b[1])) if then and self.made(data, issuer) else None


def opened(name, use, at=None, contents=()):  # une pièce : son certificat, ce qui est signé, ce qui la nomme
    looked_at.append(name)
    _, _, held, *_, signers = der(files[name + ".cms"], 0, 1, 0)
    (kind, *inside), (signer,) = der(held[1]), der(signers[1])
    *covered, _, signature = [one for one in der(signer[1])[3:] if one[0] != 0xA1]
    pairs = [(der(one[1])[0][1].hex(), each) for many in covered[:1] for one in der(many[1]) for each in der(one[1], 1)]
    said, contents = dict(pairs), [*contents, *(der(one[1])[0][1] for one in inside)]
    ders = [b64decode(one) for one in (files[name + ".pem"] + files["listes.pem"]).decode().split("-----")[2::4]]
    at, (leaf, sector, top) = at or said[TIME], map(Certificate, ders[:3])
    check("sous la racine que vous avez donnée", sha256(top.data).hexdigest() == root.lower().replace(":", ""))
    for above, one, role in ((top, sector, "autorité"), (sector, leaf, use)):
        check(f"« {one.name} » émis par « {above.name} »", above.made(one.data, one.issuer))
        (mask, bits, where, what), usage = USES[role], one.known.get(USAGE, bytes(4))[3]
        fit = usage & mask == bits and what in one.known.get(where, b"") and what in above.known.get(EXTENDED, what)
        check(f"« {one.name} » fait pour « {role} »", fit and not one.odd)
        # UTCTime n'écrit pas le siècle, GeneralizedTime l'écrit : on compare ce qu'ils ont tous deux, 13 caractères
        check(f"« {one.name} » valable alors", der(one.dates[1])[0][1][-13:] <= at[1] <= der(one.dates[1])[1][1][-13:])
        check(f"« {one.name} » non révoqué", {above.lists(crl, one.serial, at) for crl in ders[3:]} - {None} == {False})
    check("signature", holds(leaf.key, b"\x31" + covered[0][2][1:] if covered else contents[0], signature[1]))
    if covered:
        check("attributs signés, chacun une fois", len(said) == len(pairs) and said[TYPE] == kind)
        check("signé avec ce certificat", der(said[NAMED][1], 0, 0)[0][1] == sha256(leaf.data).digest())
        check(f"contenus signés : {len(contents)}", {sha256(one).digest() for one in contents} <= {said[DIGEST][1]})
    return leaf, said, b"".join(contents[:1]), (sha256(leaf.data).hexdigest(), sha256(signature[1]).hexdigest())


def climbs(leaf, place, size, steps):  # la racine où ce chemin mène, dans un arbre de cette taille (RFC 9162 §2.1.3)
    if size < 2 or not steps:  # un chemin faux mène ailleurs, d'une façon que nul n'a pu prévoir dans une racine
        return leaf if (place, size, steps) == (0, 1, []) else sha256(leaf).digest()
    left, step = 1 << (size - 1).bit_length() - 1, bytes.fromhex(steps[-1])  # les feuilles du sous-arbre de gauche
    below = climbs(leaf, *((place, left) if place < left else (place - left, size - left)), steps[:-1])
    return sha256(b"\1" + (below + step if place < left else step + below)).digest()


sys.excepthook = lambda kind, *_: check("complet et lisible", False) if issubclass(kind, Exception) else sys.exit(70)
folder, root, *original = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
files = {one.name: one.read_bytes() for one in Path(folder).iterdir()}
card, said, _, (mine, value) = opened("signature", "signer", None, [Path(one).read_bytes() for one in original])
_, fichier, count, total, rule, _, challenge = (one[1] for one in der(said[ARC + "0101"][1]))  # SigningContext
fichier, digest, cents = fichier.decode(), said[DIGEST][1].hex(), number(total, signed=True)
check(f"signé le {said[TIME][1].decode()} : {number(count)} facture(s), {cents / 100:.2f} €, règle « {rule.decode()} »")
point, (auth, _, message, _) = json.loads(opened("journal", "journal")[2]), opened("presence", "présence", said[TIME])
check("carte du même titulaire", (auth.name, message[:-32]) == (card.name, PRESENT + point["box"].encode() + challenge))
KINDS, head, pieces, named, place, last = {"receipt": "recu", "arl": "arl"}, {"size": 0}, {}, {}, -1, {}
for name in sorted({one.rpartition(".")[0] for one in files if one.startswith(("recu-", "arl-"))}):
    header, told = map(json.loads, opened(name, "OCT")[2].split(b"\n", 1))
    known = (digest,) if told["verdict"] == "integrated" else (digest, None)  # de ce qui ne s'ouvre pas, rien n'est lu
    check(f"dit « {told['verdict']} » de ce fichier", told["fichier"] == fichier and told.get("digest") in known)
    head = max(head, (header["kind"] == "receipt" and told.get("journal_head")) or head, key=lambda one: one["size"])
    pieces[sha256(files[name + ".cms"]).hexdigest()] = (name.partition("-")[0], header["kind"])
looked_at.append("journal.json")
for row in json.loads(files["journal.json"]):
    what, made = json.loads(row["text"]), sha256(bytes.fromhex(row["previous"]) + row["text"].encode()).digest()
    leaf, before, place = sha256(b"\0" + made).digest(), place, what["seq"] - 1
    inside = before < place and climbs(leaf, place, point["size"], row["path"]).hex() == point["root"]
    check(f"{what['at']} {what['verb']}", inside and (what["fichier"], point["chain"]) == (fichier, "evidence"))
    if place < head["size"]:
        check("… contresigné par l'OCT", climbs(leaf, place, head["size"], row["head"]).hex() == head["root"])
    named |= {what["piece"]: (KINDS.get(what["kind"]), what["kind"])} if "piece" in what else {}
    last = what if what["verb"] in ("sign", "retract") else last
check("chaque reçu, chaque ARL qu'il nomme est là, et nul autre", pieces == named)
check("dernière signature", (last["verb"], last["certificate"], last["signature"]) == ("sign", mine, value))
