"""PeSIT version E, Hors-SIT profile: tables and a session without any I/O.

Bytes and values in, bytes and values out: no socket, no clock, no file.  ``gateway.link`` puts a session on
a line.
"""
