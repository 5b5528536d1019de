"""Threadkeep keeps AI conversations. Start in `conversations/`: `store.py` is the contract, `models.py` what is kept."""

__version__ = "0.1.0"
