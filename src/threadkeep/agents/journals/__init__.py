"""Journals, each a head and an ordered list of entries: sessions, runs and their events, streams of answers."""
