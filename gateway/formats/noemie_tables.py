"""NOEMIE-PS as tables: the entities of a return, both families, and the rules of its checks.

Zones and lengths are those of two independent programs (flux facts 3).  Which entities belong to which
reference (578, 580, 900, 908 …) is not established: every known entity is read wherever it stands.
"""

from __future__ import annotations

from gateway.formats.findings import Rule
from gateway.formats.layout import Layout

END_LENGTH = 128
"""Characters of 000 and 999, the two entities that no ``@`` ends."""

FILE_START = Layout.of(
    "000",
    """
rec             3 N M numéro d'entité
emitter_type    2 A M type d'émetteur
emitter_no     14 N M numéro de l'émetteur
emitter_prog    6 A O programme émetteur
dest_type       2 A M type de destinataire
dest_no        14 A M numéro du destinataire
dest_prog       6 A O programme destinataire
application     2 A O type d'application
file_id         6 A M identification du fichier
created         6 N M date de création
reference       4 A M référence de l'échange
version         2 A O version
packed          1 A O compactage
ciphered        1 A O chiffrement
currency        1 A M monnaie
flow            1 A O nature du flux
blank_72       11 A O blanc
rec_len         3 N M longueur d'enregistrement
password        6 A O mot de passe
message        37 A O message
""",
)

BODY = Layout.of(
    "010",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
amc_no          7 N M numéro d'organisme complémentaire
amc_key         1 N M clé de l'organisme
eoe             1 A M délimiteur de fin d'entité
""",
)

AGENT = Layout.of(
    "020",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
payee          15 N M numéro du mandataire
eoe             1 A M délimiteur de fin d'entité
""",
)

PAYEE = Layout.of(
    "040",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
payee          15 N M numéro du destinataire du règlement
eoe             1 A M délimiteur de fin d'entité
""",
)

DAY = Layout.of(
    "070",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
acc_date        6 N M date comptable
eoe             1 A M délimiteur de fin d'entité
""",
)

TRANSFER = Layout.of(
    "071",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
acc_date        6 N M date comptable ou du virement
label1         32 A M libellé du virement, ligne 1
label2         32 A O libellé du virement, ligne 2
payer          10 A O organisme payeur
eoe             1 A M délimiteur de fin d'entité
""",
)

LOT = Layout.of(
    "080",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
batch_date      6 N M date du lot
batch_no        3 N M numéro de lot
eoe             1 A M délimiteur de fin d'entité
""",
)

RETURN_KIND = Layout.of(
    "081",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
kind            2 N M nature du retour
place          14 A O lieu d'exécution
eoe             1 A M délimiteur de fin d'entité
""",
)

OLD_FACTURE = Layout.of(
    "100",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
invoice_no      9 N M numéro de facture
eoe             1 A M délimiteur de fin d'entité
""",
)

FACTURE = Layout.of(
    "102",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
invoice_no      9 A M numéro de facture
invoice_ext     6 A O complément du numéro
batch_no        3 A O numéro de lot
batch_date      6 N O date du lot
invoice_kind    1 A M nature de la facture
invoice_date    6 N O date de facturation
amc_treatment   1 A O traitement de la part AMC
insurance       2 A O nature d'assurance
eoe             1 A M délimiteur de fin d'entité
""",
)

PERSON = Layout.of(
    "103",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
nir            13 A M NIR
nir_key         2 N M clé du NIR
birth_name     25 A O nom de naissance
used_name      25 A O nom d'usage
first_name     15 A O prénom
nir_ind        13 A O NIR individuel
nir_ind_key     2 N O clé du NIR individuel
birth           6 N M date de naissance
birth_rank      1 N M rang de naissance
ben_name       25 A O nom du bénéficiaire
ben_first      15 A O prénom du bénéficiaire
unit            4 N O unité de gestion
eoe             1 A M délimiteur de fin d'entité
""",
)

INSURED = Layout.of(
    "110",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
nir            13 A M NIR
nir_key         2 N M clé du NIR
name_kind       1 A M nature du nom
name           25 A M nom
blank_47       26 A M blanc ou second nom
first_name     15 A M prénom
eoe             1 A M délimiteur de fin d'entité
""",
)

PATIENT = Layout.of(
    "120",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
birth           6 N M date de naissance
birth_rank      1 A M rang de naissance
name           25 A M nom
first_name     15 A M prénom
unit            4 A M unité de gestion
eoe             1 A M délimiteur de fin d'entité
""",
)

INSURANCE = Layout.of(
    "150",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
insurance       2 A M nature d'assurance
eoe             1 A M délimiteur de fin d'entité
""",
)

ARCHIVE = Layout.of(
    "160",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
archive_no     17 N M numéro d'archivage
eoe             1 A M délimiteur de fin d'entité
""",
)

AMO_PART = Layout.of(
    "198",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
asked           8 N M montant demandé
state           1 A M état de la part
paid            8 N O montant payé
sign            1 A M signe
eoe             1 A M délimiteur de fin d'entité
""",
)

AMC_PART = Layout.of(
    "199",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
asked           8 N M montant demandé
state           1 A M état de la part
paid            8 N O montant payé
sign            1 A M signe
amc_no         10 N M organisme complémentaire destinataire
member         15 A O numéro d'adhérent
eoe             1 A M délimiteur de fin d'entité
""",
)

ACT = Layout.of(
    "210",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
line            2 N M numéro de ligne
mgt             2 N M code de gestion technique
exemption       1 A M justification d'exonération
treat_mode      2 N M mode de traitement
discipline      3 N M discipline de prestation
presc           6 N M date de prescription
start           6 N M date de début
end             6 N M date de fin
unit_price      8 N M prix unitaire
base            8 N M base de remboursement
rate            3 N M taux
paid            8 N M montant remboursé
sign            1 A M signe
act             3 A M code acte
act_compl       2 A M complément d'acte
qty             3 N M quantité
coef            5 N M coefficient
count           3 N M dénombrement
spent           8 N M montant de la dépense
qualifier       2 A M qualificatif de la dépense
alsace_rate     3 N M taux Alsace-Moselle
alsace_amt      8 N M montant Alsace-Moselle
amc_rate        3 N M taux complémentaire
amc_amt         8 N M montant complémentaire
amc_base        8 N M base mutualiste
eoe             1 A M délimiteur de fin d'entité
""",
)

HOSPITAL_COST = Layout.of(
    "220",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
line            2 N M numéro de ligne
mgt             2 N M code de gestion technique
exemption       1 A M justification d'exonération
treat_mode      2 N M mode de traitement
discipline      3 N M discipline de prestation
start           6 N M date de début
end             6 N M date de fin
unit_price      8 N M prix unitaire
base            8 N M base de remboursement
rate            3 N M taux
paid            8 N M montant remboursé
sign            1 A M signe
act             3 A M code acte
act_compl       2 A M complément d'acte
qty             3 N M quantité
coef            5 N M coefficient
count           3 N M dénombrement
spent           8 N M montant de la dépense
qualifier       2 A M qualificatif de la dépense
coef_hosp       5 N M coefficient hospitalier global
lump            1 N M code forfait
alsace_rate     3 N M taux Alsace-Moselle
alsace_amt      8 N M montant Alsace-Moselle
amc_rate        3 N M taux complémentaire
amc_amt         8 N M montant complémentaire
amc_base        8 N M base mutualiste
eoe             1 A M délimiteur de fin d'entité
""",
)

WITHHOLDING = Layout.of(
    "250",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
line            2 N M numéro de ligne
debt_ref       10 A M référence de la créance
debt_date       6 N M date de la créance
debt_kind       3 A M nature de la créance
operation       3 A M opération de recouvrement
amount          8 N M montant
sign            1 A M signe
balance         8 N O solde restant dû
eoe             1 A M délimiteur de fin d'entité
""",
)

LUMP = Layout.of(
    "261",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
code            5 N M code
amount          8 N M montant
eoe             1 A M délimiteur de fin d'entité
""",
)

LUMP_DETAIL = Layout.of(
    "262",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
code            5 A O code
label          80 A O libellé
nir            13 A O NIR
nir_key         2 N O clé du NIR
birth           6 N O date de naissance
birth_rank      1 N O rang de naissance
period          1 A M périodicité
from            6 N O début de période
to              6 N O fin de période
amount          8 N M montant
eoe             1 A M délimiteur de fin d'entité
""",
)

OLD_REJECT = Layout.of(
    "290",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
line            2 N M numéro de ligne
code           10 A M code de rejet ou signalement
label          80 A M libellé en clair
eoe             1 A M délimiteur de fin d'entité
""",
)

REJECT = Layout.of(
    "294",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
code            4 A M code de rejet
label          86 A M libellé en clair
scope           1 A M portée du rejet
part            1 A M part concernée
act             5 A O prestation concernée
care_date       6 N O date des soins
performer       9 N O exécutant
line            3 N O numéro de ligne
rank            2 N O rang du rejet
info           30 A O information complémentaire
eoe             1 A M délimiteur de fin d'entité
""",
)

COMMENT = Layout.of(
    "295",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
code            1 A O code du commentaire
text          128 A M commentaire
eoe             1 A M délimiteur de fin d'entité
""",
)

LEVEL_END = Layout.of(
    "990",
    """
rec             3 N M numéro d'entité
level           2 N M niveau de rupture
level_id       17 A O identification du niveau fermé
count           8 N M compteur du niveau inférieur
total          11 N M total du niveau inférieur
sign            1 A M signe du total
eoe             1 A M délimiteur de fin d'entité
""",
)

FILE_END = Layout.of(
    "999",
    """
rec             3 N M numéro d'entité
emitter_type    2 A M type d'émetteur
emitter_no     14 N M numéro de l'émetteur
emitter_prog    6 A O programme émetteur
dest_type       2 A M type de destinataire
dest_no        14 A M numéro du destinataire
dest_prog       6 A O programme destinataire
application     2 A O type d'application
file_id         6 A M identification du fichier
n_records       8 N M nombre d'entités
flow            1 A O nature du flux
blank_65       18 A O blanc
n_batches       3 N M nombre de lots
total          11 N M total du fichier
sign            1 A M signe du total
total_other    11 N O total dans l'autre monnaie
blank_109      20 A O blanc
""",
)

LAYOUTS = {
    layout.record: layout
    for layout in (
        FILE_START,
        BODY,
        AGENT,
        PAYEE,
        DAY,
        TRANSFER,
        LOT,
        RETURN_KIND,
        OLD_FACTURE,
        FACTURE,
        PERSON,
        INSURED,
        PATIENT,
        INSURANCE,
        ARCHIVE,
        AMO_PART,
        AMC_PART,
        ACT,
        HOSPITAL_COST,
        WITHHOLDING,
        LUMP,
        LUMP_DETAIL,
        OLD_REJECT,
        REJECT,
        COMMENT,
        LEVEL_END,
        FILE_END,
    )
}

ENDS_AGREE = ("emitter_type", "emitter_no", "dest_type", "dest_no", "file_id")
"""Zones that 000 and 999 must share."""

LEVELS = {"010": "01", "020": "01", "040": "02", "071": "02", "081": "02"}
"""Break levels that are written (likely); every other entity is terminal, 99."""

OPENERS = ("010", "020", "040", "070", "071", "080", "081", "100", "102")
"""Entities that open a level which a 990 may close."""

DAY_FIRST = frozenset({"408"})
"""References whose writer puts the creation date as DDMMYY (flux facts 3.1); all others write YYMMDD."""

RULES = {
    "NOE-001": Rule("blocks", "Ce fichier n'est pas un retour NOEMIE : l'en-tête 000 manque."),
    "NOE-002": Rule("blocks", "Le retour est incomplet : la fin de fichier 999 manque."),
    "NOE-003": Rule("says", "L'entité {entity} est inconnue, gardée telle quelle (octet {offset})."),
    "NOE-004": Rule("warns", "L'entité {entity} n'a pas la longueur attendue, gardée brute (octet {offset})."),
    "NOE-005": Rule("blocks", "999 annonce {said} entités, le retour en compte {counted}."),
    "NOE-006": Rule("blocks", "999 annonce un total de {said}, les montants lus font {counted}."),
    "NOE-007": Rule("warns", "990 annonce {said} éléments, ce que le niveau fermé ne contient pas."),
    "NOE-008": Rule("warns", "990 annonce un total de {said}, ce que le niveau fermé ne donne pas."),
    "NOE-009": Rule("blocks", "000 et 999 diffèrent sur la zone « {zone} »."),
    "NOE-010": Rule("warns", "La zone « {zone} » de l'entité {entity} doit être en chiffres."),
    "NOE-011": Rule("warns", "La clé du NIR est fausse."),
    "NOE-012": Rule("warns", "Il reste {size} octets après la fin de fichier 999."),
    "NOE-013": Rule("warns", "L'entité {entity} n'est rattachée à aucune facture."),
    "NOE-014": Rule("blocks", "Le retour est compressé et ne se décompresse pas."),
    "NOE-015": Rule("warns", "Une part complémentaire est payée sans organisme complémentaire nommé."),
    "NOE-016": Rule("blocks", "Le retour dépasse {limit} entités, la lecture s'arrête là."),
    "NOE-017": Rule("blocks", "Le retour décompressé dépasse {limit} octets."),
}
