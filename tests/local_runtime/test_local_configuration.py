"""What the local Worker is told: wrangler.toml, with what differs on a developer's machine."""

from pathlib import Path
from typing import Any

import pytest

from tools.checkout import Problem
from tools.local.configuration import (
    dev_vars,
    local_configuration,
    object_classes,
    our_database,
    service_key_variables,
)

DEPLOYED: dict[str, Any] = {
    "name": "small",
    "main": "src/entry.py",
    "compatibility_date": "2026-11-01",
    "compatibility_flags": ["python_workers", "another"],
    "vars": {"GREETING": "hello", "ENVIRONMENT": "production"},
    "durable_objects": {"bindings": [{"name": "NOTES", "class_name": "Notes"}]},
    "triggers": {"crons": ["0 3 * * *"]},
}


def local(deployed: dict[str, Any], store: str = "d1", **variables: str) -> dict[str, Any]:
    return local_configuration(
        deployed, Path("/project"), Path("/state/src/entry.py"), store, variables, needs_d1=store == "d1"
    )


def test_what_wrangler_toml_says_stays() -> None:
    configuration = local(DEPLOYED)
    for name in ("name", "compatibility_date", "durable_objects", "triggers"):
        assert configuration[name] == DEPLOYED[name]
    assert configuration["compatibility_flags"] == ["python_workers", "another", "python_workers_development"]
    assert configuration["main"] == "/state/src/entry.py"
    assert object_classes(DEPLOYED) == ["Notes"]


def test_the_store_that_was_asked_for_wins_over_every_variable() -> None:
    variables = local(DEPLOYED, "durable-object", AGENT_CONVERSATION_STORE="memory", GREETING="hi")["vars"]
    assert variables["AGENT_CONVERSATION_STORE"] == "durable-object"
    assert variables["GREETING"] == "hi"
    assert variables["ENVIRONMENT"] == "development"


def test_there_is_a_database_only_where_one_is_wanted() -> None:
    assert local(DEPLOYED, "durable-object")["d1_databases"] == []
    (database,) = local(DEPLOYED)["d1_databases"]
    assert (database["binding"], database["migrations_dir"]) == ("CONVERSATIONS_D1", "/project/migrations/sqlite")
    other, own = {"binding": "OTHER", "migrations_dir": "sql"}, {"binding": "CHM_CLOUD_D1"}
    found = local({**DEPLOYED, "d1_databases": [other, own]})
    assert found["d1_databases"] == [
        {**other, "migrations_dir": "/project/sql"},
        {**own, "migrations_dir": "/project/migrations/sqlite"},
    ]
    assert our_database(found) == found["d1_databases"][1]
    assert [each["binding"] for each in local({**DEPLOYED, "d1_databases": [other]})["d1_databases"]] == [
        "OTHER",
        "CONVERSATIONS_D1",
    ]


def test_dev_vars_are_read_as_wrangler_reads_them(tmp_path: Path) -> None:
    assert dev_vars(tmp_path) == {}
    (tmp_path / ".dev.vars").write_text('# ours\nPLAIN = one # two\nexport QUOTED="a # b"\nSIGNED=a=b\n\nEMPTY=\n')
    assert dev_vars(tmp_path) == {"PLAIN": "one", "QUOTED": "a # b", "SIGNED": "a=b", "EMPTY": ""}


@pytest.mark.parametrize("key", ["", "tk_", "secret", "TK_secret"])
def test_a_service_key_without_its_prefix_is_refused(key: str) -> None:
    with pytest.raises(Problem, match="begins with tk_"):
        service_key_variables(key)
