"""Everything that knows HTTP: requests and responses as plain values, routes, and who is asking."""
