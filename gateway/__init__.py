"""oct-gateway: a practice's claim files, signed, sealed, queued and forwarded to the concentrator."""
