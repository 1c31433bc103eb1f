"""B2 as tables: the records of norm CP (private establishments), the order of records, and the rules.

Zones are those of the CP norm, edition 06/2007, as two production programs agree on them (flux facts 2.3).
A zone whose meaning or place rests on a guess has presence '?': it is carried and never checked.
Records 2S, 2B, 2C, 3F, 3H, 3S, 4B, 4H, 4M, 4S exist; how they are told apart from 2, 3 and 4 is not
established, so that no layout is given for them.
"""

from __future__ import annotations

from gateway.formats.findings import Rule
from gateway.formats.layout import Layout

RECORD_LENGTH = 128
LIKELY_MOST_RECORDS = 999
"""No file of a production program holds more (likely, not proven: more is a warning)."""
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a B2 file that is read through: a bound on work and memory of ours, far above any real file."""

_ENDS = """
rec            3 N M type d'enregistrement
emitter_type   2 A M type d'émetteur
emitter_no    14 N M numéro de l'émetteur
emitter_prog   6 A O programme émetteur
dest_type      2 A M type de destinataire
dest_no       14 A M numéro du destinataire
dest_prog      6 A O programme destinataire
application    2 A M type d'application
file_id        6 A M identification du fichier
"""

_INVOICE = """
rec            1 A M type d'enregistrement
emitter_no     9 N M numéro de facturation
blank_11       1 A ? blanc
nir           13 A M NIR de l'assuré
nir_key        2 N M clé du NIR
rank           3 N M rang du bénéficiaire
invoice_no     9 N M numéro de facture
"""

FILE_START = Layout.of(
    "000",
    _ENDS
    + """
created        6 N M date de création
norm           4 A M norme utilisée
norm_ver       2 A M famille de norme
blank_68      15 A O blanc
rec_len        3 N M longueur d'enregistrement
password       6 A O mot de passe
message       37 A O message
""".lstrip(),
)

LOT_START = Layout.of(
    "1",
    """
rec            1 A M type d'enregistrement
emitter_no     9 N M numéro de facturation
blank_11       6 A ? blanc
dest_org       3 N M organisme destinataire réel
batch_no       3 N M numéro de lot
category       3 N M catégorie de l'émetteur
status         2 N M statut juridique
tariff_mode    2 N M mode de tarif
name          40 A M nom de l'émetteur
family         2 A M famille
created        6 N M date du lot
blank_78       1 A ? blanc
norm           2 A M norme
blank_81       1 A ? blanc
norm_edition   6 N M édition de la norme
currency       1 A M monnaie
blank_89      40 A ? blanc
""",
)

FACTURE_START = Layout.of(
    "2",
    _INVOICE
    + """
operation      1 A M nature de l'opération
entry_no       9 N M numéro d'entrée
scheme         2 N M grand régime
fund           3 N M caisse gestionnaire
centre         4 N M centre gestionnaire
rights_proof   1 A M nature de la pièce justificative des droits
rights_date    6 N ? date liée à la pièce justificative
date_65        6 N ? seconde date
body_71        3 N ? organisme répété
centre_74      3 N ? centre répété
insurance      2 N M nature d'assurance
exemption      1 A M justification d'exonération
date_80        6 N ? date liée à l'exonération
accident_no    9 N O numéro d'accident du travail
flag_95        1 A O indicateur
birth          6 N M date de naissance
birth_rank     1 N M rang de naissance
entry          6 N M date d'entrée
exit           6 N M date de sortie
code_115       2 N ? code
amc_contract   2 N O type de contrat complémentaire
amc_no        10 A O numéro d'organisme complémentaire
""".lstrip(),
)

HOSPITAL_LINE = Layout.of(
    "3",
    _INVOICE
    + """
treat_mode     2 N M mode de traitement
discipline     3 N M discipline de prestation
start          6 N M date de début
end            6 N M date de fin
act            5 A M code prestation
qty            3 N M quantité
exemption      1 A O justification d'exonération
coef           5 N M coefficient
flag_70        1 A ? non établi
coef_mco       5 N O coefficient MCO
unit_price     7 N M prix unitaire
base           8 N M base de remboursement
rate           3 N M taux
amo            8 N M montant remboursable AMO
spent          8 N M montant de la dépense
zone_110      12 A ? non établi
amc            7 N O montant remboursable AMC
""".lstrip(),
)

FEE_LINE = Layout.of(
    "4",
    _INVOICE
    + """
treat_mode     2 N M mode de traitement
discipline     3 N O discipline de prestation
zone_44       10 A ? non établi
exemption      1 A O justification d'exonération
zone_55       13 A ? non établi
specialty      2 N M spécialité de l'exécutant
care_date      6 N M date des soins
act            5 A M code acte
qty            2 N M quantité
coef           6 N M coefficient
count          2 N O dénombrement
unit_price     7 N M prix unitaire
base           7 N M base de remboursement
rate           3 N M taux
amo            7 N M montant remboursable AMO
fees           7 N M honoraires
zone_122       1 A ? non établi
amc            6 N O montant remboursable AMC
""".lstrip(),
)

FACTURE_END = Layout.of(
    "5",
    _INVOICE
    + """
lines          3 N M nombre de lignes de la facture
base_hosp      8 N M total des bases des prestations hospitalières
amo_hosp       8 N M total AMO des prestations hospitalières
fees           8 N M total des honoraires
fees_amo       8 N M total des honoraires à la charge de l'AMO
patient        8 N M participation de l'assuré avant AMC
amc_hosp       8 N M total AMC des prestations hospitalières
amc_fees       8 N M total AMC des honoraires
blank_98      17 A ? blanc
total_hosp     8 N M total facturé des prestations hospitalières
blank_123      6 A ? blanc
""".lstrip(),
)

LOT_END = Layout.of(
    "6",
    """
rec            1 A M type d'enregistrement
emitter_no     9 N M numéro de facturation
n_type2        3 N M nombre d'enregistrements de type 2
n_type3        4 N M nombre d'enregistrements de type 3
n_18           4 N ? compteur non établi
n_type5        3 N M nombre d'enregistrements de type 5
total_1        9 N M total du lot
total_2        9 N ? deuxième total du lot
total_3        9 N ? troisième total du lot
batch_no       3 N M numéro de lot
blank_55      74 A ? blanc
""",
)

FILE_END = Layout.of(
    "999",
    _ENDS
    + """
n_records      8 N M nombre d'enregistrements
blank_64      19 A ? blanc
n_batches      3 N M nombre de lots
blank_86      43 A ? blanc
""".lstrip(),
)

LAYOUTS = {
    layout.record: layout
    for layout in (
        FILE_START, LOT_START, FACTURE_START, HOSPITAL_LINE, FEE_LINE, FACTURE_END, LOT_END, FILE_END,
    )
}  # fmt: skip

ENDS_AGREE = (
    "emitter_type", "emitter_no", "emitter_prog", "dest_type", "dest_no", "dest_prog", "application", "file_id",
)  # fmt: skip
"""Zones that 000 and 999 share."""

ORDER = {
    ("start", "000"): "file",
    ("file", "1"): "lot",
    ("lot", "2"): "facture",
    ("facture", "2"): "facture",  # a 2S, 2B or 2C; a plain 2 here is refused by B2-005
    ("facture", "3"): "facture",
    ("facture", "4"): "facture",
    ("facture", "5"): "lot",
    ("lot", "6"): "file",
    ("file", "999"): "end",
}
"""Where in the file a record may stand, and where one is after it."""

AFTER = {record: place for (_, record), place in ORDER.items()}
"""Where one is after a record that stood in the wrong place: one fault gives one finding."""

PLACES = {
    "start": "l'en-tête de fichier 000",
    "file": "un en-tête de lot 1 ou la fin de fichier 999",
    "lot": "un début de facture 2 ou une fin de lot 6",
    "facture": "une ligne de détail 3 ou 4, ou la fin de facture 5",
    "end": "rien, le fichier est terminé",
}

MARKS = {"3": (("start", "day"), ("end", "day"), ("act", "letter")), "4": (("care_date", "day"), ("act", "letter"))}
"""What a plain 3 or 4 shows and a 3F, 3H, 4B, 4M… as far as known does not.  A detail record with two of
these wrong, or with something in position 11, is taken for a complementary one: our own reading, which can
only make a check milder."""

SUMS = (
    ("base_hosp", "3", "base"),
    ("amo_hosp", "3", "amo"),
    ("total_hosp", "3", "spent"),
    ("amc_hosp", "3", "amc"),
    ("fees", "4", "fees"),
    ("fees_amo", "4", "amo"),
    ("amc_fees", "4", "amc"),
)
"""Zone of type 5, and the zone of the detail records that it is the sum of."""

DAYS = {
    "000": ("created",),
    "1": ("created",),
    "2": ("entry", "exit"),
    "3": ("start", "end"),
    "4": ("care_date",),
}
"""Zones that must be days of the calendar; births are left out (an unknown day is written 00)."""

STRUCTURE = frozenset(
    {"B2-001", "B2-003", "B2-004", "B2-005", "B2-006", "B2-007", "B2-008", "B2-009", "B2-013", "B2-041", "B2-043"}
)
"""The rules that hold for every norm; what else is found in a norm other than CP is a warning at most."""

RULES = {
    "B2-001": Rule("blocks", "Le dernier enregistrement n'a que {size} caractères au lieu de 128."),
    "B2-002": Rule("says", "Les fins de ligne ajoutées par le transport sont ignorées, rien n'est réécrit."),
    "B2-003": Rule("blocks", "L'enregistrement {found} n'est pas à sa place : on attend {expected}."),
    "B2-004": Rule("blocks", "Le fichier s'arrête avant la fin de fichier 999 : on attend {expected}."),
    "B2-005": Rule("blocks", "La facture {number} n'est pas fermée par un type 5 avant la suivante."),
    "B2-006": Rule("blocks", "000 et 999 diffèrent sur la zone « {zone} » : {start} et {end}."),
    "B2-007": Rule("blocks", "La longueur d'enregistrement annoncée par 000 est {found} et non 128."),
    "B2-008": Rule("blocks", "999 annonce {said} enregistrements, le fichier en compte {counted}."),
    "B2-009": Rule("blocks", "999 annonce {said} lots, le fichier en compte {counted}."),
    "B2-010": Rule("warns", "Le fichier compte {counted} enregistrements, plus que les 999 d'usage."),
    "B2-011": Rule("blocks", "La zone « {zone} » doit être en chiffres et contient autre chose."),
    "B2-012": Rule("warns", "La zone facultative « {zone} » contient autre chose que des chiffres."),
    "B2-013": Rule("blocks", "Le type d'enregistrement « {found} » n'existe pas en B2."),
    "B2-014": Rule("says", "Norme « {norm} » : structure seule contrôlée, {lots} lots, {factures} factures."),
    "B2-015": Rule("says", "Enregistrement complémentaire de type {found}, transporté tel quel sans être lu."),
    "B2-016": Rule("says", "L'enregistrement contient des caractères hors ASCII, transportés tels quels."),
    "B2-017": Rule("blocks", "La clé {found} du NIR est fausse, elle devrait être {expected}."),
    "B2-018": Rule("blocks", "Le NIR n'a pas la forme attendue (13 chiffres, ou A ou B en 7e pour la Corse)."),
    "B2-019": Rule("blocks", "La clé du numéro de facturation {found} est fausse (FINESS, AM)."),
    "B2-020": Rule("warns", "La clé du numéro d'organisme complémentaire {found} semble fausse."),
    "B2-021": Rule("blocks", "Le numéro de facturation {found} n'est pas celui du lot, {expected}."),
    "B2-022": Rule("warns", "L'émetteur du lot, {found}, n'est pas celui du fichier, {expected}."),
    "B2-023": Rule("blocks", "Le numéro de lot est nul."),
    "B2-024": Rule("blocks", "La fin de lot porte le numéro {found}, son en-tête {expected}."),
    "B2-025": Rule("blocks", "Le numéro de lot {found} est utilisé deux fois dans le fichier."),
    "B2-026": Rule("blocks", "Le numéro de facture est nul."),
    "B2-027": Rule("blocks", "Le numéro de facture {found} est utilisé deux fois dans le fichier."),
    "B2-028": Rule("blocks", "La zone « {zone} » n'est pas celle du début de la facture."),
    "B2-029": Rule("blocks", "La fin de facture annonce {said} lignes, la facture en compte {counted}."),
    "B2-030": Rule("blocks", "{zone} : {said}, mais la somme des lignes est {counted}."),
    "B2-031": Rule("blocks", "{zone} : la fin de lot annonce {said}, le lot en compte {counted}."),
    "B2-032": Rule("blocks", "Le total du lot est {said}, la somme de ses factures {counted}."),
    "B2-033": Rule("warns", "Le {zone} est {said} ; on attend {counted} d'après ses factures."),
    "B2-034": Rule("blocks", "La zone « {zone} » contient « {found} », qui n'est pas une date."),
    "B2-035": Rule("blocks", "La date de fin ({end}) précède la date de début ({start})."),
    "B2-036": Rule("warns", "Les soins sont datés du {found}, après la date du lot ({lot})."),
    "B2-037": Rule("warns", "Le lot est daté du {found}, dans le futur."),
    "B2-038": Rule("warns", "Le lot {number} ne contient aucune facture."),
    "B2-039": Rule("warns", "La facture {number} n'a aucune ligne de détail."),
    "B2-040": Rule("warns", "AMO et AMC ({asked}) dépassent la dépense ({spent})."),
    "B2-041": Rule("blocks", "Le fichier ne contient aucun lot."),
    "B2-042": Rule("warns", "La zone « {zone} » contient « {found} » ; on attend « {expected} »."),
    "B2-043": Rule("blocks", "Le fichier B2 fait {size} octets, plus que les {limit} qui peuvent être lus."),
}
