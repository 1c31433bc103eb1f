"""PeSIT on a line: asyncio around ``gateway.pesit.session``.

``line`` is one TCP or TLS connection, ``flow`` the data phase of either role, ``client`` connects and drives,
``server`` answers, ``relay`` hands on what is for others. Nothing here knows a fichier, a card or a database
but its own.
"""
