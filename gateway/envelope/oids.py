"""Object identifiers of the envelope, by the names their standards give them.

Rule 1: every identifier that the gateway writes or accepts stands here, once, as a dotted string.
Rule 2: what is private to this project lives under ``ARC``, one arc made of a UUID (ITU-T X.667), and
nowhere else; nobody else's meaning may be read into it.
"""

from __future__ import annotations

# CMS content types (RFC 5652, RFC 5083)
DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"

# Signed attributes (RFC 5652 §11, RFC 5035 §3, RFC 5126 §5.11.1)
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
PROOF_OF_ORIGIN = "1.2.840.113549.1.9.16.6.1"

# Digests and signatures (RFC 5754, RFC 4055, RFC 5758)
SHA256 = "2.16.840.1.101.3.4.2.1"
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
MGF1 = "1.2.840.113549.1.1.8"
RSAES_OAEP = "1.2.840.113549.1.1.7"
RSASSA_PSS = "1.2.840.113549.1.1.10"
SHA256_WITH_RSA = "1.2.840.113549.1.1.11"
ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"

# Content encryption and key agreement (RFC 5084, RFC 3565, RFC 5753)
AES256_GCM = "2.16.840.1.101.3.4.1.46"
AES256_WRAP = "2.16.840.1.101.3.4.1.45"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
STD_DH_SHA256_KDF = "1.3.132.1.11.1"
P256 = "1.2.840.10045.3.1.7"
P384 = "1.3.132.0.34"

# Private arc: 2.25 and the UUID dd4cfd0b-c961-4275-aba4-a802dba155fd
ARC = "2.25.294159134013178632966452749297659237885"
SIGNING_CONTEXT = f"{ARC}.1.1"
CARRIED_CHECKPOINT = f"{ARC}.1.2"
PURPOSE_SEAL = f"{ARC}.2.1"
PURPOSE_SIGN_RETURN = f"{ARC}.2.2"
PURPOSE_SIGN_JOURNAL = f"{ARC}.2.3"
