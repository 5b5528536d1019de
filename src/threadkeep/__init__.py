"""Threadkeep keeps AI conversations. Start with `store.py`, the contract, and `models.py`, what is kept."""

__version__ = "0.1.0"
