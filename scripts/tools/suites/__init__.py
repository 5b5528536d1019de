"""Runs the test suites that frameworks publish for their stores, against ours."""
