"""The URL of a Postgres database: what of it is understood, and what is dropped with a warning.

Nothing of it is passed on as a setting of the server, which poolers refuse. What it says is never in an error: it holds
the password.
"""

from typing import Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from threadkeep.errors import Unavailable

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_NUMBERS = {
    "connect_timeout": (0, 600),
    "connection_limit": (1, 1_000),
    "pool_timeout": (0, 600),
    "statement_cache_size": (0, 10_000),
}
_NAME_BYTES_MAX = 63
"""Of a longer one, Postgres would take the beginning."""
_LABEL_CHARACTERS_MAX = 63
"""Of a part of the name of a host, between two dots; Python's resolver fails on others as on a defect."""
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class PostgresUrl(Struct, frozen=True, kw_only=True):
    """Where a database is, and how to speak with it."""

    host: str
    """A name, an address, or the folder of a socket."""
    port: int
    user: str
    password: str | None
    database: str
    schema: str
    has_pooler: bool
    """Whether what answers is a pooler that gives each transaction another connection."""
    ssl_mode: SslMode
    ssl_root_certificate: str | None
    """A file; None for those that the system trusts."""
    connect_seconds: int
    pool_seconds: int
    """How long a request waits for a connection that is free."""
    connections_max: int
    warnings: tuple[str, ...]
    """What was dropped, by name."""


def parse_url(url: str) -> PostgresUrl:
    """Read a URL. Raises Unavailable where it says something that cannot be."""
    if "\0" in unquote(url):  # nothing takes one, and some drivers take what comes before it
        raise _wrong("has a NUL in it")
    try:
        parts = urlsplit(url)
        port = parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:  # its own words may hold the password
        raise _wrong("is no URL; a password with special characters must be percent-encoded") from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise _wrong("must begin with postgresql:// or postgres://")
    host = query.pop("host", None) or unquote(parts.hostname or "")
    if not host:
        raise _wrong("names no host")
    if "," in parts.netloc or "," in host:
        raise _wrong("names several hosts; name one")
    labels = [] if host.startswith("/") else host.removesuffix(".").split(".")
    if not all(0 < len(label) <= _LABEL_CHARACTERS_MAX for label in labels):
        raise _wrong("names a host that cannot be")
    if not parts.username:
        raise _wrong("names no user")
    database = unquote(parts.path.removeprefix("/"))
    if not database:
        raise _wrong("names no database")
    read = _Parameters(query)
    has_pooler = read.boolean("pgbouncer") or read.number("statement_cache_size") == 0
    ssl_mode = read.ssl_mode()
    return PostgresUrl(
        host=host,
        port=port or 5432,
        user=unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        database=database,
        schema=read.schema(),
        has_pooler=has_pooler,
        ssl_mode=ssl_mode,
        ssl_root_certificate=read.text("sslrootcert"),
        connect_seconds=read.number("connect_timeout") or 10,
        pool_seconds=read.number("pool_timeout") or 10,
        connections_max=read.number("connection_limit") or 10,
        warnings=tuple(f"DATABASE_URL: the parameter {name[:100]!r} is ignored." for name in query),
    )


class _Parameters:
    """Takes one parameter after the other out of a query. What is left is not understood."""

    def __init__(self, query: dict[str, str]) -> None:
        self._query = query

    def text(self, name: str) -> str | None:
        return self._query.pop(name, None) or None

    def schema(self) -> str:
        schema = self.text("schema") or "public"
        if len(schema.encode()) > _NAME_BYTES_MAX:
            raise _wrong(f"has a wrong schema; it may be a name of up to {_NAME_BYTES_MAX} bytes")
        return schema

    def boolean(self, name: str) -> bool:
        value = (self.text(name) or "false").lower()
        if value not in _BOOLEANS:
            raise _wrong(f"has a wrong {name}; it may be true or false")
        return _BOOLEANS[value]

    def number(self, name: str) -> int | None:
        """A whole number; None where it is not given."""
        value = self.text(name)
        least, most = _NUMBERS[name]
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 9 and least <= int(value) <= most):
            raise _wrong(f"has a wrong {name}; it may be a whole number from {least} to {most}")
        return int(value)

    def ssl_mode(self) -> SslMode:
        """How much of TLS, in the words of libpq, of Prisma (`sslaccept`), or of others (`ssl=true`)."""
        value = self.text("sslmode")
        if value is not None and value not in get_args(SslMode):
            raise _wrong(f"has a wrong sslmode; it may be one of {', '.join(get_args(SslMode))}")
        modes: dict[str | None, SslMode] = {mode: mode for mode in get_args(SslMode)}
        is_required = self.boolean("ssl")
        accept = self.text("sslaccept")
        if accept not in (None, "strict", "accept_invalid_certs"):
            raise _wrong("has a wrong sslaccept; it may be strict or accept_invalid_certs")
        mode = modes.get(value, "require" if is_required else "prefer")
        return "verify-full" if accept == "strict" and mode != "disable" else mode


def _wrong(what: str) -> Unavailable:
    return Unavailable(f"DATABASE_URL {what}.")
