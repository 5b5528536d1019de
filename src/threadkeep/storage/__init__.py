"""Stores that are not SQL behind an executor."""
