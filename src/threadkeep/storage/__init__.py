"""Back ends: `backends.py` lists them and chooses, `base.py` says what each is, and each product has a folder."""
