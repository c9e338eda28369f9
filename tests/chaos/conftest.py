"""The instances that tests run against; see ``support/fixtures.py``."""

from support.fixtures import shared_smos, smos

__all__ = ["shared_smos", "smos"]
