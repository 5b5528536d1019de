"""The calls of the client, as people make them. `scripts/lock` writes `client/sync/` of these modules."""
