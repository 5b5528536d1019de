"""Mistakes put into the source, to see whether a test notices."""
