"""The URL of Postgres: what is understood, what is dropped with a warning, and what is refused without a password."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from threadkeep.errors import Unavailable
from threadkeep.storage.postgres.url import PostgresUrl, parse_url

PLAIN = PostgresUrl(
    host="db.example",
    port=5432,
    user="ada",
    password="secret",
    database="kept",
    schema="public",
    has_pooler=False,
    ssl_mode="prefer",
    ssl_root_certificate=None,
    connect_seconds=10,
    pool_seconds=10,
    connections_max=10,
    warnings=(),
)
BASE = "postgresql://ada:secret@db.example/kept"


def ignored(*names: str) -> dict[str, Any]:
    return {"warnings": tuple(f"DATABASE_URL: the parameter {name!r} is ignored." for name in names)}


READ: dict[str, tuple[str, dict[str, Any]]] = {
    "as it is": (BASE, {}),
    "the other scheme": ("postgres://ada:secret@db.example/kept", {}),
    "a port": ("postgresql://ada:secret@db.example:6543/kept", {"port": 6543}),
    "an address of version 6": ("postgresql://ada:secret@[::1]:5433/kept", {"host": "::1", "port": 5433}),
    "no password": ("postgresql://ada@db.example/kept", {"password": None}),
    "an empty password": ("postgresql://ada:@db.example/kept", {"password": ""}),
    "what is encoded": (
        "postgresql://a%40b:p%2F%3F%23%25w@db.example/my%20kept",
        {"user": "a@b", "password": "p/?#%w", "database": "my kept"},
    ),
    "the folder of a socket": ("postgresql://ada:secret@/kept?host=/run/pg", {"host": "/run/pg"}),
    "Prisma's": (
        f"{BASE}?schema=chats&connection_limit=5&connect_timeout=15&pool_timeout=20&sslmode=require&pgbouncer=true",
        {
            "schema": "chats",
            "connections_max": 5,
            "connect_seconds": 15,
            "pool_seconds": 20,
            "ssl_mode": "require",
            "has_pooler": True,
        },
    ),
    "no wait is no end of it": (f"{BASE}?connect_timeout=0&pool_timeout=0", {}),
    "no pooler": (f"{BASE}?pgbouncer=false", {}),
    "no statements to cache": (f"{BASE}?statement_cache_size=0", {"has_pooler": True}),
    "a host that is whole": ("postgresql://ada:secret@db.example./kept", {"host": "db.example."}),
    "some statements to cache": (f"{BASE}?statement_cache_size=50", {}),
    **{
        f"sslmode {mode}": (f"{BASE}?sslmode={mode}", {"ssl_mode": mode})
        for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
    },
    "a certificate": (f"{BASE}?sslmode=verify-full&sslrootcert=/etc/root.crt", {
        "ssl_mode": "verify-full", "ssl_root_certificate": "/etc/root.crt"}),
    "ssl as others say it": (f"{BASE}?ssl=true", {"ssl_mode": "require"}),
    "sslmode before ssl": (f"{BASE}?ssl=true&sslmode=verify-ca", {"ssl_mode": "verify-ca"}),
    "strict, as Prisma says it": (f"{BASE}?sslmode=require&sslaccept=strict", {"ssl_mode": "verify-full"}),
    "strict about nothing": (f"{BASE}?sslmode=disable&sslaccept=strict", {"ssl_mode": "disable"}),
    "not strict": (f"{BASE}?sslmode=require&sslaccept=accept_invalid_certs", {"ssl_mode": "require"}),
    "Supabase's": (f"{BASE}?sslmode=require&supa=base-pooler.x", {"ssl_mode": "require", **ignored("supa")}),
    "Neon's": (
        f"{BASE}?sslmode=require&channel_binding=require&options=endpoint%3Dx",
        {"ssl_mode": "require", **ignored("channel_binding", "options")},
    ),
    "settings of the server": (
        f"{BASE}?search_path=x&statement_timeout=1&application_name=y&work_mem=",
        ignored("search_path", "statement_timeout", "application_name", "work_mem"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("url", "changes"), [pytest.param(*row, id=case) for case, row in READ.items()])
def test_a_url_is_read(url: str, changes: dict[str, Any]) -> None:
    assert parse_url(url) == msgspec.structs.replace(PLAIN, **changes)


REFUSED = {
    "another product": ("mysql://ada:secret@db.example/kept", "must begin with postgresql://"),
    "a driver's own": ("postgresql+asyncpg://ada:secret@db.example/kept", "must begin with postgresql://"),
    "no URL": ("host=db.example password=secret", "must begin with postgresql://"),
    "a port that is none": ("postgresql://ada:secret@db.example:secret/kept", "is no URL"),
    "a port that is too large": ("postgresql://ada:secret@db.example:99999/kept", "is no URL"),
    "a password that is not encoded": ("postgresql://ada:sec[ret@db.example/kept", "is no URL"),
    "no host": ("postgresql://ada:secret@/kept", "names no host"),
    "several hosts": ("postgresql://ada:secret@a.example,b.example/kept", "names several hosts"),
    "several folders": ("postgresql://ada:secret@/kept?host=/a,/b", "names several hosts"),
    "a host without a name between its dots": ("postgresql://ada:secret@a..b/kept", "names a host that cannot be"),
    "a host with a name too long": (f"postgresql://ada:secret@{'a' * 64}.example/kept", "names a host that cannot be"),
    "a NUL in the password": ("postgresql://ada:secret%00@db.example/kept", "has a NUL in it"),
    "a NUL in a file": (f"{BASE}?sslrootcert=secret%00", "has a NUL in it"),
    "a password that looks like a port": ("postgresql://ada:secret/x@db.example/kept", "is no URL"),
    "no user": ("postgresql://:secret@db.example/kept", "names no user"),
    "no database": ("postgresql://ada:secret@db.example", "names no database"),
    "no database after a slash": ("postgresql://ada:secret@db.example/?schema=x", "names no database"),
    "a query that is none": (f"{BASE}?secret", "is no URL"),
    "a number that is none": (f"{BASE}?connection_limit=secret", "has a wrong connection_limit; it may be a whole"),
    "a number of another script": (f"{BASE}?connection_limit=٣", "has a wrong connection_limit"),
    "a negative number": (f"{BASE}?connect_timeout=-1", "has a wrong connect_timeout"),
    "too many connections": (f"{BASE}?connection_limit=1001", "from 1 to 1000"),
    "no connections": (f"{BASE}?connection_limit=0", "from 1 to 1000"),
    "a number that is too long": (f"{BASE}?pool_timeout={'1' * 5000}", "has a wrong pool_timeout"),
    "neither true nor false": (f"{BASE}?pgbouncer=secret", "has a wrong pgbouncer; it may be true or false"),
    "a wrong sslmode": (f"{BASE}?sslmode=secret", "has a wrong sslmode; it may be one of disable, allow"),
    "a wrong sslaccept": (f"{BASE}?sslaccept=secret", "has a wrong sslaccept; it may be strict"),
    "a schema with NUL": (f"{BASE}?schema=a%00b", "has a NUL in it"),
    "a schema that would be cut": (f"{BASE}?schema={'é' * 32}", "has a wrong schema"),
}


@pytest.mark.parametrize(("url", "sentence"), [pytest.param(*row, id=case) for case, row in REFUSED.items()])
def test_a_url_that_cannot_be_is_refused_without_a_word_of_what_it_says(url: str, sentence: str) -> None:
    with pytest.raises(Unavailable, match=r"^DATABASE_URL ") as raised:
        parse_url(url)
    assert sentence in raised.value.message
    assert "secret" not in raised.value.message
    assert raised.value.__cause__ is None  # which a traceback would show
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_the_longest_name_of_a_schema_is_kept() -> None:
    assert parse_url(f"{BASE}?schema={'a' * 63}").schema == "a" * 63


def test_the_readme_of_the_back_end_lists_what_is_understood() -> None:
    text = (Path(__file__).parents[2] / "docs/backends/postgres.md").read_text()
    for name in (
        *("schema", "pgbouncer", "statement_cache_size", "connect_timeout", "connection_limit", "pool_timeout"),
        *("sslmode", "sslrootcert", "sslaccept", "ssl", "host"),
    ):
        assert f"| `{name}` |" in text
