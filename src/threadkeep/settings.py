"""Settings: the environment, read once into one frozen value.

A setting is declared in one place, as a field of `Settings`: its type, its default, and its `Setting`. Whatever else
has to know of it follows from that, or a test fails until it does.

A wrong value fails at once, with its name, the value (unless it must not be shown) and what it may be. So do two names
of one setting that disagree.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

import msgspec
from msgspec import Meta, Struct

from threadkeep.errors import Invalid, Unavailable
from threadkeep.setting_types import Setting, SettingType, find_texts, read_value
from threadkeep.storage.backends import AUTO, STORE_NAMES
from threadkeep.users import check_user_id

Spared = Literal["archived", "pinned"]
Environment = Literal["production", "development", "test"]
if TYPE_CHECKING:
    StoreName = str
else:
    StoreName = Literal[STORE_NAMES]  # as the back ends have them

# Types of settings that have a form. A message about another value has the description, or both bounds of a number.
Days = Annotated[int, Meta(ge=1, le=36_500)]
Origin = Annotated[
    str,
    Meta(pattern=r"\A[a-z][a-z0-9+.-]*://[^/\sA-Z*]+\Z", description="exact origins such as https://app.example"),
]
KeyDigest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="SHA-256 digests in lower-case hexadecimal")]
SigningSecret = Annotated[
    str,
    Meta(
        # RFC 7518, section 3.2: no shorter than the hash.
        pattern=r"(?s)\A(?!ssh-|ecdsa-|sk-|.*----[- ]BEGIN ).{32,}\Z",
        description="a secret of 32 characters or more, which a PEM or SSH key is not",
    ),
]
AgentStateKey = Annotated[str, Meta(pattern=r"\Aas_live_[A-Za-z0-9]+\Z", description="a key that begins with as_live_")]


class Settings(Struct, frozen=True, kw_only=True):
    """What the environment says. Their order is that of the README."""

    persistence: Annotated[
        bool,
        Setting(
            names=(
                "AGENT_CONVERSATION_PERSISTENCE",
                "CHM_FEATURE_CONVERSATION_DB",
                "VITE_FEATURE_CONVERSATION_DB",
                "NEXT_PUBLIC_FEATURE_CONVERSATION_DB",
            ),
            deprecated="NEXT_PUBLIC_FEATURE_CONVERSATION_DB",
            about="keep conversations here at all",
            note="`wrangler.toml` and `threadkeep serve` set `true`",
            privacy="public",
        ),
    ] = False
    store: Annotated[
        StoreName,
        Setting(
            names=("AGENT_CONVERSATION_STORE", "CONVERSATION_STORE_BACKEND"),
            about="the back end",
            note="the first that is set up",
            privacy="public",
        ),
    ] = AUTO
    jwt_secret: Annotated[
        SigningSecret | None,
        Setting(names=("AUTH_JWT_SECRET",), about="lets in JWTs signed by HS256; the user is `sub`", privacy="secret"),
    ] = None
    service_keys: Annotated[
        tuple[KeyDigest, ...],
        Setting(
            names=("AUTH_SERVICE_KEYS",),
            about="lets in these keys, for the user in `X-User-Id`; SHA-256 in hexadecimal, commas between",
            privacy="hidden",  # a key that is short can be guessed by its digest
        ),
    ] = ()
    development_user: Annotated[
        str | None,
        Setting(
            names=("AUTH_DEV_USER",), about="lets everybody in as this user; refused in production", privacy="public"
        ),
    ] = None
    d1_database_id: Annotated[
        str | None,
        Setting(
            names=(
                "CONVERSATIONS_D1_DATABASE_ID",
                "AGENT_CONVERSATIONS_D1_DATABASE_ID",
                "CHM_CLOUD_D1_DATABASE_ID",
                "AGENT_CHM_CLOUD_D1_DATABASE_ID",
            ),
            about="the D1 database to bind, for `scripts/deploy` alone",
            note="that of `wrangler.toml`",
            privacy="public",
        ),
    ] = None
    durable_object_binding: Annotated[
        str,
        Setting(
            names=("AGENT_CONVERSATIONS_DO_BINDING",), about="the name of the Durable Object binding", privacy="public"
        ),
    ] = "AGENT_CONVERSATIONS_DO"
    cors_origins: Annotated[
        frozenset[Origin],
        Setting(names=("CORS_ORIGINS",), about="the origins whose pages may call, commas between", privacy="public"),
    ] = frozenset()
    database_url: Annotated[
        str | None,
        Setting(
            names=("DATABASE_URL", "POSTGRES_URL", "POSTGRES_PRISMA_URL", "HYPERDRIVE"),
            binding="HYPERDRIVE",
            about="the Postgres; [its parameters](docs/backends/postgres.md#settings)",
            privacy="secret",
        ),
    ] = None
    environment: Annotated[
        Environment,
        Setting(names=("ENVIRONMENT",), about="`production`, `development` or `test`", privacy="public"),
    ] = "production"
    metrics: Annotated[
        bool,
        Setting(names=("METRICS",), about="answer `GET /metrics` to anybody, on a plain server", privacy="public"),
    ] = False
    retention_days: Annotated[
        Days,
        Setting(
            names=("RETENTION_DAYS",),
            about="for so many days, 1 to 36500, what was deleted can be restored; then it is purged",
            privacy="public",
        ),
    ] = 30
    expire_days: Annotated[
        Days | None,
        Setting(
            names=("CONVERSATIONS_EXPIRE_DAYS",),
            about=(
                "after so many days, 1 to 36500, without a new message, a conversation "
                "[expires](docs/api.md#expiring): it is deleted, and can be restored"
            ),
            privacy="public",
        ),
    ] = None
    expire_spares: Annotated[
        frozenset[Spared],
        Setting(
            names=("CONVERSATIONS_EXPIRE_SPARES",),
            about="what never expires: `archived`, `pinned` (`metadata.pinned` is true), or both, commas between",
            privacy="public",
        ),
    ] = frozenset()
    sqlite_path: Annotated[
        str | None,
        Setting(
            names=("SQLITE_PATH",),
            about="the file, on a plain server",
            note="`threadkeep serve`: `threadkeep.sqlite` in its folder",
            privacy="public",
        ),
    ] = None
    clickhouse_database: Annotated[
        str,
        Setting(
            names=("CLICKHOUSE_DATABASE",),
            about="the database that the table is in, if only that is named",
            privacy="public",
            is_planned=True,
        ),
    ] = "default"
    clickhouse_table: Annotated[
        str | None,
        Setting(
            names=("CLICKHOUSE_AGENT_CONVERSATIONS_TABLE",),
            about="the table, without which ClickHouse is never picked by itself",
            privacy="public",
            is_planned=True,
        ),
    ] = None
    clickhouse_auto_create: Annotated[
        bool,
        Setting(
            names=("CLICKHOUSE_AGENT_CONVERSATIONS_AUTO_CREATE",),
            about="create the table if it is not there",
            privacy="public",
            is_planned=True,
        ),
    ] = False
    agentstate_api_key: Annotated[
        AgentStateKey | None,
        Setting(names=("AGENTSTATE_API_KEY",), about="the key", privacy="secret", is_planned=True),
    ] = None
    agentstate_api_base: Annotated[
        str,
        Setting(
            names=("AGENTSTATE_API_BASE", "AGENTSTATE_BASE_URL"),
            about="the address of the service",
            privacy="hidden",  # a URL may have a password in it
            is_planned=True,
        ),
    ] = "https://agentstate.app/api"
    agentstate_ai_enrich: Annotated[
        bool,
        Setting(
            names=("AGENTSTATE_AI_ENRICH",),
            about="have the service add titles and tags",
            privacy="public",
            is_planned=True,
        ),
    ] = False
    warnings: tuple[str, ...] = ()
    """What to tell whoever runs this. No setting, but what came of reading them."""

    @classmethod
    def read(cls, get: Callable[[str], str | None]) -> "Settings":
        """Read the settings through a function from a name to its value, or None where it is not set.

        Raises Unavailable for a value that is wrong.
        """
        values: dict[str, Any] = {}
        warnings: list[str] = []
        for field, setting in DECLARED.items():
            texts = find_texts(setting, get)
            if texts:
                values[field] = read_value(setting, _TYPES[field], texts)
            if setting.deprecated in texts:
                warnings.append(f"{setting.deprecated} is deprecated; set {setting.names[0]} instead.")
        settings = cls(**values, warnings=tuple(warnings))
        _check_development_user(settings)
        return settings

    @property
    def has_clickhouse_table(self) -> bool:
        """Whether the table was named, without which ClickHouse is never picked by itself."""
        return self.clickhouse_table is not None

    @property
    def qualified_clickhouse_table(self) -> str:
        """The table with its database; without a name, ours in the database that was named."""
        return self.clickhouse_table or f"{self.clickhouse_database}.agent_conversations"


DECLARED: dict[str, Setting] = {}
"""Every setting, by its field."""

_TYPES: dict[str, SettingType] = {}

for _field in msgspec.structs.fields(Settings):
    if get_origin(_field.type) is Annotated:
        DECLARED[_field.name] = _field.type.__metadata__[-1]
        _TYPES[_field.name] = SettingType(_field.type)

NAMES = {field: setting.names for field, setting in DECLARED.items()}
"""The names that each setting is read under, the first being the one to use."""

HYPERDRIVE_BINDING = NAMES["database_url"][-1]
"""The name of a Hyperdrive binding, which a Worker reads as a URL."""


def _check_development_user(settings: Settings) -> None:
    """Refuse a user that everybody is, unless this is a machine of one's own."""
    if settings.development_user is None:
        return
    if settings.environment == "production":
        raise Unavailable(
            "AUTH_DEV_USER lets everybody in, and is refused in production. "
            "Remove it, or set ENVIRONMENT to development on a machine of your own."
        )
    try:
        check_user_id(settings.development_user)
    except Invalid as error:
        raise Unavailable(f"AUTH_DEV_USER is {settings.development_user!r}. {error.message}") from error
