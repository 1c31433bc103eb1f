"""The envelope of a fichier: SignedData inside AuthEnvelopedData, certificates and revocation.

Pure: bytes, values and open binary files in, bytes and values out; the time is an argument.  ``der`` is the
only encoder and decoder, ``attributes`` what a card signs, ``signed`` and ``seal`` the two envelopes,
``certificates`` whether somebody may (``profile`` and ``constraints`` are its rules), ``revocation`` whether he
still may.

Codes of ``Refused`` and ``Deferred`` (D):

    CMS-001 truncated               CMS-014 signature false            CMS-030 certificate unreadable
    CMS-002 indefinite length       CMS-015 another certificate's      CMS-031 no path to a trusted root
    CMS-003 not the one encoding    CMS-016 not one signer             CMS-032 expired
    CMS-004 element out of place    CMS-017 signer's certificate       CMS-033 not valid yet: our clock (D)
    CMS-005 too large, too deep     CMS-018 content over the limit     CMS-034 not made for this use
    CMS-006 something left over     CMS-020 not sealed for us          CMS-035 not three levels
    CMS-007 text or date            CMS-021 our key does not open it   CMS-036 revoked
    CMS-010 not our content type    CMS-022 tag: the seal is broken    CMS-037 no revocation list (D)
    CMS-011 algorithm not admitted  CMS-023 tag or nonce of that size  CMS-038 list out of date (D)
    CMS-012 signed attributes       CMS-024 not AES-256-GCM            CMS-039 list unusable (D)
    CMS-013 another content         CMS-025 file changed while read    CMS-040 holder, CMS-041 key unreadable

``gateway.commands.envelope`` adds CMS-042 key of another certificate, CMS-050 and CMS-052 files that cannot
be read or written, CMS-051 (D) a file that changes, CMS-053 (D) a disk or a pipe that takes no more.  Of paths there
are two more: CMS-043 a name or policy that the authority does not allow, CMS-044 a certificate outside the profile.
"""
