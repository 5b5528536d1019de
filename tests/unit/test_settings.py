"""Settings: every name, every default, and every way to get one wrong."""

from contextlib import suppress
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import jwt
import msgspec
import pytest

from threadkeep.errors import Unavailable
from threadkeep.settings import DECLARED, HYPERDRIVE_BINDING, NAMES, Settings
from threadkeep.storage.backends import BACKENDS
from threadkeep.storage.sqlite import D1_BINDINGS

SECRET = "a secret, known to few, of more than 32 characters"
DIGEST = "0123456789abcdef" * 4

# What to set a setting of text to, and what its field is then. The other types need no sample.
SAMPLES: dict[str, tuple[str, Any]] = {
    "d1_database_id": ("2fd1c8a0", "2fd1c8a0"),
    "durable_object_binding": ("OBJECTS", "OBJECTS"),
    "database_url": ("postgres://db.example/x", "postgres://db.example/x"),
    "clickhouse_database": ("chats", "chats"),
    "clickhouse_table": ("chats.kept", "chats.kept"),
    "agentstate_api_key": ("as_live_Abc123", "as_live_Abc123"),
    "agentstate_api_base": ("https://state.example", "https://state.example"),
    "sqlite_path": ("/data/kept.sqlite", "/data/kept.sqlite"),
    "jwt_secret": (SECRET, SECRET),
    "expire_spares": ("pinned, archived", frozenset({"archived", "pinned"})),
    "service_keys": (f"{DIGEST},{DIGEST[::-1]}", (DIGEST, DIGEST[::-1])),
    "development_user": ("ada", "ada"),
    "cors_origins": (
        "https://app.example, http://localhost:3000,",
        frozenset({"https://app.example", "http://localhost:3000"}),
    ),
}
EVERY_NAME = [pytest.param(setting, name, id=name) for setting, names in NAMES.items() for name in names]
DEPRECATED = "NEXT_PUBLIC_FEATURE_CONVERSATION_DB"


def sample_of(setting: str) -> tuple[str, Any]:
    """What a setting may be set to that is not its default, and what its field is then."""
    if setting in SAMPLES:
        return SAMPLES[setting]
    kind, default = kind_and_default(setting)
    if kind is bool:
        return ("false", False) if default else ("true", True)
    if get_origin(kind) is Literal:
        return (get_args(kind)[-1],) * 2
    assert kind is int, f"{setting} is text, and needs a sample in SAMPLES."
    return str((default or 0) + 1), (default or 0) + 1


def kind_and_default(setting: str) -> tuple[Any, Any]:
    """The type of a setting without its bounds and without None, and its default."""
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == setting)
    kind = get_args(field.type)[0]
    if NoneType in get_args(kind):
        kind = get_args(kind)[0]
    return (get_args(kind)[0] if get_origin(kind) is Annotated else kind), field.default


def read(variables: dict[str, str]) -> dict[str, Any]:
    return msgspec.structs.asdict(Settings.read(variables.get))


def base_of(setting: str) -> dict[str, str]:
    """What else must be set."""
    return {"ENVIRONMENT": "development"} if setting == "development_user" else {}


def test_the_defaults_keep_nothing_and_let_nobody_in() -> None:
    settings = Settings.read({}.get)
    assert (settings.persistence, settings.environment, settings.metrics) == (False, "production", False)
    assert (settings.jwt_secret, settings.service_keys, settings.development_user) == (None, (), None)
    assert settings.cors_origins == frozenset()
    assert settings == Settings()


def test_every_field_is_declared_as_a_setting() -> None:
    assert [*DECLARED, "warnings"] == [field.name for field in msgspec.structs.fields(Settings)]


def test_a_name_is_that_of_one_setting() -> None:
    names = [name for names in NAMES.values() for name in names]
    assert len(names) == len(set(names))
    for setting in DECLARED.values():
        assert {setting.binding, setting.deprecated} <= {None, *setting.names[1:]}


def test_names_that_others_have_set_stay() -> None:
    assert NAMES["persistence"] == (
        "AGENT_CONVERSATION_PERSISTENCE",
        "CHM_FEATURE_CONVERSATION_DB",
        "VITE_FEATURE_CONVERSATION_DB",
        DEPRECATED,
    )
    assert NAMES["store"] == ("AGENT_CONVERSATION_STORE", "CONVERSATION_STORE_BACKEND")
    assert NAMES["database_url"] == ("DATABASE_URL", "POSTGRES_URL", "POSTGRES_PRISMA_URL", "HYPERDRIVE")
    assert D1_BINDINGS == ("CONVERSATIONS_D1", "CHM_CLOUD_D1")
    assert DECLARED["database_url"].binding == HYPERDRIVE_BINDING


@pytest.mark.parametrize(("setting", "name"), EVERY_NAME)
def test_a_name_sets_its_setting_and_no_other(setting: str, name: str) -> None:
    value, field = sample_of(setting)
    base = base_of(setting)
    expected = {**read(base), setting: field}
    if name == DEPRECATED:
        expected["warnings"] = (f"{name} is deprecated; set AGENT_CONVERSATION_PERSISTENCE instead.",)
    assert expected != read(base)
    assert read({**base, name: value}) == expected
    assert read({**base, name: f"  {value}\n"}) == expected


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
@pytest.mark.parametrize(("setting", "name"), EVERY_NAME)
def test_a_blank_value_is_none(setting: str, name: str, blank: str) -> None:
    assert read({name: blank}) == read({})


@pytest.mark.parametrize(("setting", "name"), EVERY_NAME)
def test_a_value_that_is_no_utf_8_is_named_and_not_shown(setting: str, name: str) -> None:
    with pytest.raises(Unavailable) as raised:
        read({**base_of(setting), name: "hunter\udcff"})
    assert raised.value.message == f"{name} is not in UTF-8."
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("setting", [setting for setting, names in NAMES.items() if len(names) > 1])
def test_names_of_one_setting_may_agree_and_must_not_disagree(setting: str) -> None:
    value, field = sample_of(setting)
    names = NAMES[setting]
    assert read(dict.fromkeys(names, value))[setting] == field
    for first, second in pairwise(names):
        with pytest.raises(Unavailable) as raised:
            read({first: value, second: f"{value}-not"})
        assert f"{first} and {second} are two names of one setting" in raised.value.message
        assert (value in raised.value.message) == (DECLARED[setting].privacy == "public")


def test_a_deprecated_name_warns_beside_the_others_too() -> None:
    assert read(dict.fromkeys(NAMES["persistence"], "true"))["warnings"] == (
        f"{DEPRECATED} is deprecated; set AGENT_CONVERSATION_PERSISTENCE instead.",
    )
    assert read({**dict.fromkeys(NAMES["persistence"], "true"), DEPRECATED: " "})["warnings"] == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("TRUE", True), ("1", True), ("false", False), ("False", False), ("0", False)],
)
def test_a_boolean_is_true_or_false_in_several_spellings(text: str, value: bool) -> None:
    assert read({"AGENT_CONVERSATION_PERSISTENCE": text})["persistence"] is value


def test_spellings_of_one_boolean_do_not_disagree() -> None:
    variables = {"AGENT_CONVERSATION_PERSISTENCE": "true", "VITE_FEATURE_CONVERSATION_DB": "1"}
    assert read(variables)["persistence"] is True
    with pytest.raises(Unavailable, match="disagree: 'true' and '0'"):
        read({**variables, "VITE_FEATURE_CONVERSATION_DB": "0"})


STORES = f"one of auto, {', '.join(backend.name for backend in BACKENDS)}"
WRONG = {
    "persistence": ("yes", "'yes'", "true or false"),
    "store": ("d2", "'d2'", STORES),
    "store in capitals": ("D1", "'D1'", STORES),
    "clickhouse_auto_create": ("on", "'on'", "true or false"),
    "agentstate_ai_enrich": ("2", "'2'", "true or false"),
    "agentstate_api_key": ("as_test_abc", "wrong", "a key that begins with as_live_"),
    "agentstate_api_key with more": ("as_live_abc def", "wrong", "a key that begins with as_live_"),
    "jwt_secret": ("x" * 31, "wrong", "a secret of 32 characters or more"),
    "service_keys": (DIGEST[:-1], "wrong", "SHA-256 digests in lower-case hexadecimal, with commas between them"),
    "service_keys in capitals": (DIGEST.upper(), "wrong", "SHA-256 digests in lower-case hexadecimal"),
    "service_keys as they are": ("tk_secret", "wrong", "SHA-256 digests in lower-case hexadecimal"),
    "service_keys of which one is wrong": (f"{DIGEST},tk_secret", "wrong", "SHA-256 digests"),
    "cors_origins": ("*", "'*'", "exact origins such as https://app.example, with commas between them"),
    "cors_origins with a wildcard": ("https://*.example", "'https://*.example'", "exact origins"),
    "cors_origins with a path": ("https://app.example/", "'https://app.example/'", "exact origins"),
    "cors_origins without a scheme": ("app.example", "'app.example'", "exact origins"),
    "cors_origins of which one is wrong": ("https://app.example null", "'https://app.example null'", "exact origins"),
    "cors_origins in capitals": ("https://App.example", "'https://App.example'", "exact origins"),
    "cors_origins with a scheme in capitals": ("HTTPS://app.example", "'HTTPS://app.example'", "exact origins"),
    "retention_days": ("0", "'0'", "a whole number from 1 to 36500"),
    "retention_days too many": ("36501", "'36501'", "a whole number from 1 to 36500"),
    "retention_days below zero": ("-1", "'-1'", "a whole number"),
    "retention_days and a half": ("1.5", "'1.5'", "a whole number"),
    "retention_days in other digits": ("\u0667", "'\u0667'", "a whole number"),
    "retention_days without end": ("9" * 5000, "'999", "a whole number"),
    "environment": ("staging", "'staging'", "one of production, development, test"),
}


@pytest.mark.parametrize(
    ("setting", "value", "shown", "allowed"),
    [pytest.param(case.split()[0], *values, id=case) for case, values in WRONG.items()],
)
def test_a_wrong_value_names_the_variable_the_value_and_what_it_may_be(
    setting: str, value: str, shown: str, allowed: str
) -> None:
    for name in NAMES[setting]:
        with pytest.raises(Unavailable) as raised:
            read({name: value})
        assert raised.value.message.startswith(f"{name} is {shown}")
        assert f"; it may be {allowed}" in raised.value.message
        if DECLARED[setting].privacy != "public":
            assert value not in raised.value.message
            assert not any(item in raised.value.message for item in value.split(","))


@pytest.mark.parametrize(
    "setting",
    [name for name in NAMES if (kind := kind_and_default(name)[0]) in (bool, int) or get_origin(kind) is Literal],
)
def test_what_no_setting_can_be_is_refused_with_what_it_may_be(setting: str) -> None:
    for name in NAMES[setting]:
        with pytest.raises(Unavailable, match=rf"^{name} is 'no such value'; it may be (true or false|a whole|one of)"):
            read({name: "no such value"})


@pytest.mark.parametrize("setting", NAMES)
def test_null_is_a_text_like_any_other(setting: str) -> None:
    """msgspec would make nothing of it where there may be nothing, and let a wrong secret pass as none."""
    variables = {**base_of(setting), NAMES[setting][0]: "null"}
    with suppress(Unavailable):
        assert read(variables)[setting] == "null"


@pytest.mark.parametrize("days", [1, 36_500])
def test_the_retention_may_be_its_least_and_its_most(days: int) -> None:
    assert read({"RETENTION_DAYS": str(days)})["retention_days"] == days


def test_a_table_of_clickhouse_wins_over_its_database() -> None:
    variables = {"CLICKHOUSE_DATABASE": "chats", "CLICKHOUSE_AGENT_CONVERSATIONS_TABLE": "other.kept"}
    settings = Settings.read(variables.get)
    assert (settings.qualified_clickhouse_table, settings.has_clickhouse_table) == ("other.kept", True)
    settings = Settings.read({"CLICKHOUSE_DATABASE": "chats"}.get)
    assert (settings.qualified_clickhouse_table, settings.has_clickhouse_table) == ("chats.agent_conversations", False)
    assert Settings().qualified_clickhouse_table == "default.agent_conversations"


def test_a_fixed_user_is_refused_in_production() -> None:
    for environment in ({}, {"ENVIRONMENT": "production"}):
        with pytest.raises(Unavailable, match="AUTH_DEV_USER lets everybody in, and is refused in production"):
            read({"AUTH_DEV_USER": "ada", **environment})


def test_a_fixed_user_is_a_user_id() -> None:
    with pytest.raises(Unavailable, match=r"AUTH_DEV_USER is 'a\\tb'\. A user id has 1 to 255 characters"):
        read({"AUTH_DEV_USER": "a\tb", "ENVIRONMENT": "test"})


PUBLIC_KEYS = {
    "PEM": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----",
    "PEM after a comment": "mine\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----",
    "SSH, RSA": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ",
    "SSH, Ed25519": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
}
PYJWT_ALONE_REFUSES = {
    "SSH, ECDSA": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI",
    "PEM with spaces": "---- BEGIN PUBLIC KEY ----\nMFkwEwYHKoZIzj0CAQ\n---- END PUBLIC KEY ----",
}


@pytest.mark.parametrize(
    "key",
    [
        *(pytest.param(key, id=case) for case, key in PUBLIC_KEYS.items()),
        *(pytest.param(key, id=case) for case, key in PYJWT_ALONE_REFUSES.items()),
    ],
)
def test_a_public_key_is_no_secret_to_sign_with(key: str) -> None:
    with pytest.raises(jwt.InvalidKeyError):
        jwt.encode({}, key)
    with pytest.raises(Unavailable, match=r"AUTH_JWT_SECRET is wrong; .*, which a PEM or SSH key is not"):
        read({"AUTH_JWT_SECRET": key})


def test_settings_stay_as_they_were_read() -> None:
    settings = Settings.read({}.get)
    with pytest.raises(AttributeError):
        settings.store = "memory"  # type: ignore[misc]
