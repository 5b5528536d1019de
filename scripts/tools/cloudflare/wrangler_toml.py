"""Reads and writes the D1 binding in wrangler.toml. Every other byte of the file stays.

Needs tomlkit, and so run_in_environment().
"""

import copy
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Comment, Item, Table, Whitespace

from threadkeep.storage.sqlite import D1_BINDINGS
from tools.checkout import ROOT, Problem, write_atomically
from tools.cloudflare.account import Database
from tools.exit_codes import Code
from tools.local.configuration import MIGRATIONS, our_database, parsed

_KEY = "d1_databases"


class ConfigurationFile:
    """A wrangler.toml, and in it one environment, or what holds where no environment is named.

    Bindings are not inherited: each environment has its own.
    """

    def __init__(self, path: Path, environment: str | None, root: Path = ROOT) -> None:
        self.name = path.name
        self._path = path.resolve()  # a link stays one
        self._bytes = self._read()
        self._all = parsed(path, self._bytes)
        self.text = self._bytes.decode()
        if environment is not None and environment not in self._all.get("env", {}):
            raise Problem(f"{path} has no environment [env.{environment}]", Code.WRONG_VALUE)
        self._environment = environment
        # wrangler takes it from where the file is, which may be anywhere.
        self._migrations = Path(os.path.relpath(root / MIGRATIONS, path.absolute().parent)).as_posix()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What wrangler takes the account and the name from: the environment's own win."""
        own = self._all["env"][self._environment] if self._environment is not None else {}
        return {**self._all, **own}

    @property
    def database_id(self) -> str | None:
        """The database that the binding is for now."""
        entry = our_database(_home(self._all, self._environment))
        return entry.get("database_id") if entry else None

    def check_writable(self) -> None:
        """Raises a Problem when it could not be written: before anything is created at Cloudflare."""
        folder = self._path.parent
        may = os.access(self._path, os.W_OK) and os.access(folder, os.W_OK) and self._path.stat().st_mode & 0o222
        if not may:
            raise self._read_only("it, or its folder, is read-only")

    def bound_to(self, database: Database) -> str:
        """The text of the file with the binding for this database."""
        expected = copy.deepcopy(self._all)
        home = _home(expected, self._environment)
        entry = our_database(home)
        if entry is None:
            entry = {}
            home.setdefault(_KEY, []).append(entry)
        fields = {"binding": entry.get("binding", D1_BINDINGS[0])}
        fields |= {"database_name": database.name, "database_id": database.id}
        fields["migrations_dir"] = entry.get("migrations_dir", self._migrations)
        if entry.get("database_id") == database.id:
            fields["database_name"] = entry.get("database_name", database.name)  # renamed, perhaps; the id counts
        if fields.items() <= entry.items():
            return self.text
        entry.update(fields)
        text = self._changed(fields)
        if tomllib.loads(text.removeprefix("\ufeff")) != expected:
            raise self._unusual()
        return text

    def write(self, text: str) -> None:
        """Replaces the file at once, or not at all."""
        try:
            if self._read() != self._bytes:
                raise Problem(f"{self._path} has been changed meanwhile: run this again")
            write_atomically(self._path, text.encode())
        except OSError as error:
            raise self._read_only(error.strerror or str(error)) from None

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            message = f"there is no {self._path}: name the file with --config"
            raise Problem(message, Code.CONFIGURATION_MISSING) from None
        except OSError as error:
            message = f"{self._path} cannot be read: {error.strerror}"
            raise Problem(message, Code.CONFIGURATION_BROKEN) from None

    def _changed(self, fields: dict[str, str]) -> str:
        mark = "\ufeff" if self.text.startswith("\ufeff") else ""
        text = self.text.removeprefix(mark)
        windows = "\r\n" in text and not re.search(r"(?<!\r)\n", text)
        if text and not text.endswith("\n"):
            text += "\n"
        try:
            document = tomlkit.parse(text)
            if document.as_string() != text:  # tomlkit brings together what stands apart
                raise self._unusual()
            home = _home(document, self._environment)
            if (entry := our_database(home)) is not None:
                _complete(entry, fields)
                text = document.as_string()
            elif home.get(_KEY):
                _append(home[_KEY], fields)
                text = document.as_string()
            else:
                text += f"\n{self._block(fields)}" if text else self._block(fields)
            changed = re.sub(r"(?<!\r)\n", "\r\n", text) if windows else text
            tomllib.loads(changed)
        except (TOMLKitError, tomllib.TOMLDecodeError):
            raise self._unusual() from None
        return mark + changed

    def _block(self, fields: dict[str, str]) -> str:
        names = [_KEY] if self._environment is None else ["env", self._environment, _KEY]
        header = ".".join(tomlkit.key(name).as_string() for name in names)
        return f"[[{header}]]\n{tomlkit.dumps(fields)}"

    def _unusual(self) -> Problem:
        return Problem(
            f"{self._path} is laid out in a way that cannot be added to: write {_KEY} as [[{_KEY}]] blocks, all in one"
            " place, and environments as [env.NAME]",
            Code.CONFIGURATION_BROKEN,
        )

    def _read_only(self, reason: str) -> Problem:
        return Problem(f"{self._path} cannot be written: {reason}", Code.CONFIGURATION_READ_ONLY)


def _home(configuration: Any, environment: str | None) -> Any:
    return configuration if environment is None else configuration["env"][environment]


def _append(databases: Any, fields: dict[str, str]) -> None:
    """Adds one more database. The comments before whatever comes next stay before that."""
    if not isinstance(databases, AoT):
        inline = tomlkit.inline_table()
        inline.update(fields)
        databases.append(inline)
        return
    table = tomlkit.table()
    table.update(fields)
    last: Table = databases[-1]
    rest = _take_rest(last)
    last.value.append(None, Whitespace("\n"))
    for item in rest:
        table.value.append(None, item)
    databases.append(table)


def _complete(entry: Any, fields: dict[str, str]) -> None:
    """Adds what a database lacks, below what it has, and replaces what is wrong."""
    rest = _take_rest(entry) if isinstance(entry, Table) else []
    for key, value in fields.items():
        if entry.get(key) != value:
            entry[key] = value
    for item in rest:
        entry.value.append(None, item)


def _take_rest(table: Table) -> list[Item]:
    """Takes away the blank lines and comments that end a table, but for those right below what it holds."""
    body = table.value.body
    end = len(body)
    while end and isinstance(body[end - 1][1], (Comment, Whitespace)):
        end -= 1
    while end < len(body) and isinstance(body[end][1], Comment):
        end += 1
    rest = [item for _, item in body[end:]]
    del body[end:]
    return rest
