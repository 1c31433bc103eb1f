"""One result of a bench, as ``results.json`` lists it."""

from __future__ import annotations

from typing import Any


def row(name: str, value: float, unit: str, reference: str, reference_value: float) -> dict[str, Any]:
    """The ratio is ours over the reference's."""
    return {
        "name": name, "value": round(value, 3), "unit": unit, "reference": reference,
        "reference_value": round(reference_value, 3), "ratio": round(value / reference_value, 3),
    }  # fmt: skip
