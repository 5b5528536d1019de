"""Threadkeep keeps AI conversations. Start in `conversations/`, with `store.py` and `models.py`."""

__version__ = "0.1.0"
