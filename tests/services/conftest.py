"""The status service and a day of made-up fichiers, for all tests of this folder."""

from status_bench import day, service

__all__ = ["day", "service"]
