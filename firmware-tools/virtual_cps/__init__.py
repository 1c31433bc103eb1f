"""A CPS3 for development, at the end of vpcd's wire: never a real serial, never the real issuer's certificates."""
