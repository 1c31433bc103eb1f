"""PeSIT on a line: asyncio around ``gateway.pesit.session``.

``line`` is one TCP or TLS connection, ``flow`` the data phase of either role, ``client`` connects and drives,
``server`` answers. Nothing here knows a fichier, a card or a database.
"""
