"""Measures Threadkeep against others on one machine. Imported when the packages in requirements/dev.txt are there."""
