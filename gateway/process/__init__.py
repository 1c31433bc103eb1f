"""What services and concentrator share as processes: their place under systemd, their child, their keys."""
