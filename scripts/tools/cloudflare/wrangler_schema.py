"""Checks the shape of a wrangler.toml, so that whatever reads it here can rely on that."""

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

# What is read or changed by the scripts. Whatever else there is, is wrangler's.
_SHAPE: dict[str, Any] = {
    **dict.fromkeys(("name", "main", "account_id", "compatibility_date", "base_dir", "tsconfig"), str),
    "compatibility_flags": [str],
    "vars": {},
    "assets": {"directory": str},
    "build": {"cwd": str},
    "triggers": {"crons": [str]},
    "hyperdrive": [{}],
    "migrations": [{"new_sqlite_classes": [str]}],
    "d1_databases": [{"binding": str, "database_id": str, "database_name": str, "migrations_dir": str}],
    "durable_objects": {"bindings": [{"name": str, "class_name": str}]},
}
_REQUIRED = {"assets": ("directory",), "d1_databases": ("binding",), "durable_objects.bindings": ("name", "class_name")}
_LEVELS_MAX = 20  # nobody nests deeper, and whatever goes through all of it recurses


def parts(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The top and every environment, by what stands there before the name of a key."""
    environments = configuration.get("env", {})
    return {"": configuration, **{f"env.{name}.": part for name, part in environments.items()}}


def what_is_wrong(configuration: Mapping[str, Any]) -> str | None:
    """The first thing that is not as it has to be, with its place; None where all is well."""
    return next(_all_wrong(configuration), None)


def _all_wrong(configuration: Mapping[str, Any]) -> Iterator[str]:
    yield from _beyond_json(configuration, "", 0)
    environments = configuration.get("env", {})
    if not isinstance(environments, dict) or not all(isinstance(part, dict) for part in environments.values()):
        yield "env has to hold tables, as in [env.staging]"
        return
    for before, part in parts(configuration).items():
        for key in part.keys() & _SHAPE.keys():
            yield from _misfits(part[key], _SHAPE[key], key, before + key)
        if before and "env" in part:
            yield f"{before}env: an environment has none of its own"


def _beyond_json(value: object, place: str, level: int) -> Iterator[str]:
    """What JSON cannot say, in which wrangler is told all of it."""
    if level > _LEVELS_MAX:
        yield f"{place[:80]} … is nested more than {_LEVELS_MAX} levels deep"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _beyond_json(inner, f"{place}.{key}" if place else key, level + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _beyond_json(inner, f"{place}[{index}]", level + 1)
    elif isinstance(value, datetime | date | time):
        yield f"{place} is a date or a time: put it in quotes"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is {value}, which is no number: put it in quotes"
    elif isinstance(value, str) and "\0" in value:
        yield f"{place} has a NUL in it, which no name and no variable may have"


def _misfits(value: object, shape: Any, path: str, place: str) -> Iterator[str]:
    """What is no text, list or table where one belongs. `path` is the place as `_REQUIRED` has it."""
    if shape is str:
        if not isinstance(value, str):
            yield f"{place} has to be a text, in quotes"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{place} has to be a list" + (f": begin each with [[{place}]]" if shape != [str] else "")
            return
        for index, item in enumerate(value):
            yield from _misfits(item, shape[0], path, f"{place}[{index}]")
    elif not isinstance(value, dict):
        yield f"{place} has to be a table"
    else:
        for key in _REQUIRED.get(path, ()):
            if key not in value:
                yield f"{place} has no {key}"
        for key in value.keys() & shape.keys():
            yield from _misfits(value[key], shape[key], f"{path}.{key}", f"{place}.{key}")
