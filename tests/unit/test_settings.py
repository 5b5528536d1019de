"""Settings: every name, every default, and every way to get one wrong."""

from itertools import pairwise
from typing import Any

import jwt
import msgspec
import pytest

from threadkeep.errors import Unavailable
from threadkeep.settings import NAMES, Settings
from threadkeep.storage.backends import BACKENDS
from threadkeep.storage.sqlite import D1_BINDINGS

SECRET = "a secret, known to few, of more than 32 characters"
DIGEST = "0123456789abcdef" * 4

# For each setting: what the variable holds, and the fields that follow from it.
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "persistence": ("true", {"persistence": True}),
    "store": ("durable-object", {"store": "durable-object"}),
    "d1_database_id": ("2fd1c8a0", {"d1_database_id": "2fd1c8a0"}),
    "durable_object_binding": ("OBJECTS", {"durable_object_binding": "OBJECTS"}),
    "database_url": ("postgres://db.example/x", {"database_url": "postgres://db.example/x"}),
    "clickhouse_database": ("chats", {"clickhouse_table": "chats.agent_conversations"}),
    "clickhouse_table": ("chats.kept", {"clickhouse_table": "chats.kept", "has_clickhouse_table": True}),
    "clickhouse_auto_create": ("1", {"clickhouse_auto_create": True}),
    "agentstate_api_key": ("as_live_Abc123", {"agentstate_api_key": "as_live_Abc123"}),
    "agentstate_api_base": ("https://state.example", {"agentstate_api_base": "https://state.example"}),
    "agentstate_ai_enrich": ("TRUE", {"agentstate_ai_enrich": True}),
    "sqlite_path": ("/data/kept.sqlite", {"sqlite_path": "/data/kept.sqlite"}),
    "jwt_secret": (SECRET, {"jwt_secret": SECRET}),
    "service_keys": (f"{DIGEST},{DIGEST[::-1]}", {"service_keys": (DIGEST, DIGEST[::-1])}),
    "development_user": ("ada", {"development_user": "ada"}),
    "cors_origins": (
        "https://app.example, http://localhost:3000,",
        {"cors_origins": frozenset({"https://app.example", "http://localhost:3000"})},
    ),
    "retention_days": ("7", {"retention_days": 7}),
    "environment": ("test", {"environment": "test"}),
    "metrics": ("true", {"metrics": True}),
}
SECRETS = {"database_url", "agentstate_api_key", "jwt_secret", "service_keys"}
EVERY_NAME = [pytest.param(setting, name, id=name) for setting, names in NAMES.items() for name in names]
DEPRECATED = "NEXT_PUBLIC_FEATURE_CONVERSATION_DB"


def read(variables: dict[str, str]) -> dict[str, Any]:
    return msgspec.structs.asdict(Settings.read(variables.get))


def base_of(setting: str) -> dict[str, str]:
    """What else must be set."""
    return {"ENVIRONMENT": "development"} if setting == "development_user" else {}


def test_the_defaults_keep_nothing_and_let_nobody_in() -> None:
    assert read({}) == {
        "persistence": False,
        "store": "auto",
        "d1_database_id": None,
        "durable_object_binding": "AGENT_CONVERSATIONS_DO",
        "database_url": None,
        "clickhouse_table": "default.agent_conversations",
        "has_clickhouse_table": False,
        "clickhouse_auto_create": False,
        "agentstate_api_key": None,
        "agentstate_api_base": "https://agentstate.app/api",
        "agentstate_ai_enrich": False,
        "sqlite_path": None,
        "jwt_secret": None,
        "service_keys": (),
        "development_user": None,
        "cors_origins": frozenset(),
        "retention_days": 30,
        "environment": "production",
        "metrics": False,
        "warnings": (),
    }


def test_the_names_are_those_that_are_documented() -> None:
    assert set(NAMES) == set(SAMPLES)
    names = [name for names in NAMES.values() for name in names]
    assert len(names) == len(set(names))
    assert NAMES["persistence"][:2] == ("AGENT_CONVERSATION_PERSISTENCE", "CHM_FEATURE_CONVERSATION_DB")
    assert NAMES["persistence"][2:] == ("VITE_FEATURE_CONVERSATION_DB", DEPRECATED)
    assert NAMES["store"] == ("AGENT_CONVERSATION_STORE", "CONVERSATION_STORE_BACKEND")
    assert NAMES["database_url"] == ("DATABASE_URL", "POSTGRES_URL", "POSTGRES_PRISMA_URL", "HYPERDRIVE")
    assert D1_BINDINGS == ("CONVERSATIONS_D1", "CHM_CLOUD_D1")


@pytest.mark.parametrize(("setting", "name"), EVERY_NAME)
def test_a_name_sets_its_setting_and_no_other(setting: str, name: str) -> None:
    value, fields = SAMPLES[setting]
    base = base_of(setting)
    expected = {**read(base), **fields}
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
    value, fields = SAMPLES[setting]
    names = NAMES[setting]
    settings = read(dict.fromkeys(names, value))
    assert {field: settings[field] for field in fields} == fields
    for first, second in pairwise(names):
        with pytest.raises(Unavailable) as raised:
            read({first: value, second: f"{value}-not"})
        assert f"{first} and {second} are two names of one setting" in raised.value.message
        assert (value in raised.value.message) == (setting not in SECRETS)


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
    with pytest.raises(Unavailable, match="disagree: 'true' and 'false'"):
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
        if setting in SECRETS:
            assert value not in raised.value.message
            assert not any(item in raised.value.message for item in value.split(","))


@pytest.mark.parametrize("days", [1, 36_500])
def test_the_retention_may_be_its_least_and_its_most(days: int) -> None:
    assert read({"RETENTION_DAYS": str(days)})["retention_days"] == days


def test_a_table_of_clickhouse_wins_over_its_database() -> None:
    variables = {"CLICKHOUSE_DATABASE": "chats", "CLICKHOUSE_AGENT_CONVERSATIONS_TABLE": "other.kept"}
    assert read(variables)["clickhouse_table"] == "other.kept"


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
