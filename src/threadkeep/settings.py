"""Settings: the environment, read once into one frozen value.

A wrong value fails at once, with its name, the value (unless it may be a secret) and what it may be. So do two names of
one setting that disagree.
"""

import re
from collections.abc import Callable
from typing import Literal, TypeVar, get_args

from msgspec import Struct

from threadkeep.errors import Invalid, Unavailable
from threadkeep.storage.backends import AUTO, STORE_NAMES
from threadkeep.users import check_user_id

Environment = Literal["production", "development", "test"]

NAMES: dict[str, tuple[str, ...]] = {
    "persistence": (
        "AGENT_CONVERSATION_PERSISTENCE",
        "CHM_FEATURE_CONVERSATION_DB",
        "VITE_FEATURE_CONVERSATION_DB",
        "NEXT_PUBLIC_FEATURE_CONVERSATION_DB",
    ),
    "store": ("AGENT_CONVERSATION_STORE", "CONVERSATION_STORE_BACKEND"),
    "d1_database_id": (
        "CONVERSATIONS_D1_DATABASE_ID",
        "AGENT_CONVERSATIONS_D1_DATABASE_ID",
        "CHM_CLOUD_D1_DATABASE_ID",
        "AGENT_CHM_CLOUD_D1_DATABASE_ID",
    ),
    "durable_object_binding": ("AGENT_CONVERSATIONS_DO_BINDING",),
    "database_url": ("DATABASE_URL", "POSTGRES_URL", "POSTGRES_PRISMA_URL", "HYPERDRIVE"),
    "clickhouse_database": ("CLICKHOUSE_DATABASE",),
    "clickhouse_table": ("CLICKHOUSE_AGENT_CONVERSATIONS_TABLE",),
    "clickhouse_auto_create": ("CLICKHOUSE_AGENT_CONVERSATIONS_AUTO_CREATE",),
    "agentstate_api_key": ("AGENTSTATE_API_KEY",),
    "agentstate_api_base": ("AGENTSTATE_API_BASE", "AGENTSTATE_BASE_URL"),
    "agentstate_ai_enrich": ("AGENTSTATE_AI_ENRICH",),
    "sqlite_path": ("SQLITE_PATH",),
    "jwt_secret": ("AUTH_JWT_SECRET",),
    "service_keys": ("AUTH_SERVICE_KEYS",),
    "development_user": ("AUTH_DEV_USER",),
    "cors_origins": ("CORS_ORIGINS",),
    "retention_days": ("RETENTION_DAYS",),
    "environment": ("ENVIRONMENT",),
    "metrics": ("METRICS",),
}
"""Every setting, and the names it is read under, the first being the one to use."""

HYPERDRIVE_BINDING = NAMES["database_url"][-1]
"""The name of a Hyperdrive binding, which a Worker reads as a URL."""

_DEPRECATED = "NEXT_PUBLIC_FEATURE_CONVERSATION_DB"
_JWT_SECRET_BYTES_MIN = 32  # RFC 7518, section 3.2: no shorter than the hash
_RETENTION_DAYS_MAX = 36_500
_BOOLEANS = {"true": "true", "1": "true", "false": "false", "0": "false"}

T = TypeVar("T")


class Settings(Struct, frozen=True, kw_only=True):
    """What the environment says. Names and defaults stand in the README."""

    persistence: bool
    """Whether conversations are kept on the server at all."""
    store: str
    """The back end that is asked for by name, or `auto`."""
    d1_database_id: str | None
    durable_object_binding: str
    database_url: str | None
    clickhouse_table: str
    has_clickhouse_table: bool
    """Whether the table was set explicitly, without which ClickHouse is never picked by itself."""
    clickhouse_auto_create: bool
    agentstate_api_key: str | None
    agentstate_api_base: str
    agentstate_ai_enrich: bool
    sqlite_path: str | None
    jwt_secret: str | None
    service_keys: tuple[str, ...]
    """SHA-256 of each service key, in lower-case hexadecimal."""
    development_user: str | None
    cors_origins: frozenset[str]
    retention_days: int
    """How long a deleted conversation can be restored."""
    environment: Environment
    metrics: bool
    """Whether a plain server tells Prometheus, and anybody else, how much it does."""
    warnings: tuple[str, ...]
    """What to tell whoever runs this."""

    @classmethod
    def read(cls, get: Callable[[str], str | None]) -> "Settings":
        """Read the settings through a function from a name to its value, or None where it is not set.

        Raises Unavailable for a value that is wrong.
        """
        read = _Reader(get)
        environment = read.one_of("environment", get_args(Environment), "production")
        development_user = read.text("development_user")
        if development_user is not None:
            if environment == "production":
                raise Unavailable(
                    "AUTH_DEV_USER lets everybody in, and is refused in production. "
                    "Remove it, or set ENVIRONMENT to development on a machine of your own."
                )
            try:
                check_user_id(development_user)
            except Invalid as error:
                raise Unavailable(f"AUTH_DEV_USER is {development_user!r}. {error.message}") from error
        table = read.text("clickhouse_table")
        return cls(
            persistence=read.boolean("persistence"),
            store=read.one_of("store", STORE_NAMES, AUTO),
            d1_database_id=read.text("d1_database_id"),
            durable_object_binding=read.text("durable_object_binding") or "AGENT_CONVERSATIONS_DO",
            database_url=read.text("database_url", secret=True),
            clickhouse_table=table or f"{read.text('clickhouse_database') or 'default'}.agent_conversations",
            has_clickhouse_table=table is not None,
            clickhouse_auto_create=read.boolean("clickhouse_auto_create"),
            agentstate_api_key=read.matching(
                "agentstate_api_key", "as_live_[A-Za-z0-9]+", "a key that begins with as_live_", secret=True
            ),
            agentstate_api_base=read.text("agentstate_api_base") or "https://agentstate.app/api",
            agentstate_ai_enrich=read.boolean("agentstate_ai_enrich"),
            sqlite_path=read.text("sqlite_path"),
            jwt_secret=read.matching(
                "jwt_secret",
                rf"(?s)(?!ssh-|ecdsa-|sk-|.*----[- ]BEGIN ).{{{_JWT_SECRET_BYTES_MIN},}}",
                f"a secret of {_JWT_SECRET_BYTES_MIN} characters or more, which a PEM or SSH key is not",
                secret=True,
            ),
            service_keys=tuple(
                read.items("service_keys", "[0-9a-f]{64}", "SHA-256 digests in lower-case hexadecimal", secret=True)
            ),
            development_user=development_user,
            cors_origins=frozenset(
                read.items(
                    "cors_origins",
                    r"[a-z][a-z0-9+.-]*://[^/\sA-Z*]+",
                    "exact origins such as https://app.example",
                )
            ),
            retention_days=read.integer("retention_days", 30, 1, _RETENTION_DAYS_MAX),
            environment=environment,
            metrics=read.boolean("metrics"),
            warnings=tuple(read.warnings),
        )


class _Reader:
    """Reads one setting at a time under all of its names."""

    def __init__(self, get: Callable[[str], str | None]) -> None:
        self._get = get
        self.warnings: list[str] = []

    def text(self, setting: str, *, secret: bool = False) -> str | None:
        """The value, or None where it is not set or blank."""
        return self._named(setting, secret=secret)[1]

    def boolean(self, setting: str) -> bool:
        name, value = self._named(setting, spellings=_BOOLEANS)
        if value is None:
            return False
        if value not in _BOOLEANS:
            raise _wrong(name, value, "true or false")
        return value == "true"

    def integer(self, setting: str, default: int, least: int, most: int) -> int:
        name, value = self._named(setting)
        if value is None:
            return default
        if not re.fullmatch("[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise _wrong(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def one_of(self, setting: str, choices: tuple[T, ...], default: T) -> T:
        name, value = self._named(setting)
        if value is None:
            return default
        for choice in choices:
            if choice == value:
                return choice
        raise _wrong(name, value, f"one of {', '.join(map(str, choices))}")

    def matching(self, setting: str, pattern: str, what: str, *, secret: bool = False) -> str | None:
        name, value = self._named(setting, secret=secret)
        if value is not None and not re.fullmatch(pattern, value):
            raise _wrong(name, None if secret else value, what)
        return value

    def items(self, setting: str, pattern: str, what: str, *, secret: bool = False) -> list[str]:
        """The values between commas."""
        name, value = self._named(setting, secret=secret)
        items = [item.strip() for item in (value or "").split(",") if item.strip()]
        for item in items:
            if not re.fullmatch(pattern, item):
                raise _wrong(name, None if secret else item, f"{what}, with commas between them")
        return items

    def _named(
        self, setting: str, *, secret: bool = False, spellings: dict[str, str] | None = None
    ) -> tuple[str, str | None]:
        found = [(name, value.strip()) for name in NAMES[setting] if (value := self._get(name)) and value.strip()]
        if spellings is not None:
            found = [(name, spellings.get(value.lower(), value)) for name, value in found]
        if not found:
            return NAMES[setting][0], None
        for name, value in found:
            if not _is_utf_8(value):
                raise Unavailable(f"{name} is not in UTF-8.")
        name, value = found[0]
        for other, other_value in found[1:]:
            if other_value != value:
                what = "have different values" if secret else f"disagree: {value!r} and {other_value!r}"
                raise Unavailable(f"{name} and {other} are two names of one setting and {what}. Set one of them.")
        if _DEPRECATED in (name for name, _ in found):
            self.warnings.append(f"{_DEPRECATED} is deprecated; set {NAMES[setting][0]} instead.")
        return name, value


def _is_utf_8(value: str) -> bool:
    """Whether the bytes that Python has read as this are UTF-8; an environment may hold any."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(name: str, value: str | None, what: str) -> Unavailable:
    return Unavailable(f"{name} is {'wrong' if value is None else repr(value)}; it may be {what}.")
