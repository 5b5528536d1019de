"""The suites: each module here has `SUITES`, and is found by being here."""
