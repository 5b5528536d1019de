"""Postgres: on a server through asyncpg, in a Worker through a protocol of our own."""
