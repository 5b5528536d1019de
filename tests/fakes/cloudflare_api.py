"""Cloudflare's API as far as the scripts need it: an account, its D1 databases and its Workers, on a loopback port.

wrangler is pointed to it by CLOUDFLARE_API_BASE_URL. What it does not know, such as a path or a field, it refuses and
remembers in `unexpected`, so that a call that nobody has looked at fails the test.
"""

import hashlib
import json
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import apsw

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "a-token-of-the-tests"

# Source: https://developers.cloudflare.com/d1/platform/limits/
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: 2_000_000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    apsw.SQLITE_LIMIT_COLUMN: 100,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 32,
}
_PRAGMAS = {"table_list", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
_PRAGMAS |= {"foreign_keys", "defer_foreign_keys", "foreign_key_check", "quick_check", "optimize", "data_version"}
_REFUSED = {apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT, apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH}

Misbehaviour = Literal["500", "html", "hang"]
Body = dict[str, Any]


class Refusal(Exception):
    """What the API answers instead of a result."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Database:
    """One D1 database: SQLite with D1's limits."""

    name: str
    jurisdiction: str | None = None
    location: str | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: str = "2026-11-20T12:00:00.000Z"
    uploads: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, tuple[str, Body]] = field(default_factory=dict)
    """Exports and imports by their bookmarks, and what comes of them."""
    connection: apsw.Connection = field(default_factory=lambda: apsw.Connection(":memory:"))

    def __post_init__(self) -> None:
        self.connection.execute("PRAGMA foreign_keys = ON")
        for limit, value in _LIMITS.items():
            self.connection.limit(limit, value)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """For tests: looks inside, or prepares what is there."""
        return self.connection.execute(sql, values).fetchall()

    def run(self, sql: str, values: list[Any]) -> list[Body]:
        """Runs statements, all or none; a result for each."""
        statements = statements_of(sql)
        if values and len(statements) != 1:
            raise Refusal(400, 7400, "params are only for a single statement")
        self.connection.execute("BEGIN")
        self.connection.authorizer = _authorize
        try:
            results = [self._run_one(statement, values) for statement in statements]
        except apsw.Error as error:
            self.connection.authorizer = None
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise Refusal(400, 7500, f"{error}: {type(error).__name__}") from error
        self.connection.authorizer = None
        try:
            self.connection.execute("COMMIT")
        except apsw.Error as error:  # a deferred constraint
            self.connection.execute("ROLLBACK")
            raise Refusal(400, 7500, f"{error}: {type(error).__name__}") from error
        return results

    def _run_one(self, statement: str, values: list[Any]) -> Body:
        started = time.monotonic()
        changes_before = self.connection.total_changes()
        cursor = self.connection.execute(statement, values)
        names = [column[0] for column in cursor.description] if (row := cursor.fetchone()) is not None else []
        rows = [] if row is None else [dict(zip(names, values, strict=True)) for values in [row, *cursor]]
        changes = self.connection.total_changes() - changes_before
        meta = {
            "served_by": "the fake",
            "duration": round((time.monotonic() - started) * 1000, 4),
            "changes": changes,
            "last_row_id": self.connection.last_insert_rowid(),
            "changed_db": changes > 0,
            "size_after": 4096,
            "rows_read": len(rows),
            "rows_written": changes,
        }
        return {"results": rows, "success": True, "meta": meta}

    def begin_job(self, kind: str, result: Body) -> Body:
        """What the API answers while an export or an import is under way."""
        bookmark = f"bookmark-{len(self.jobs)}"
        self.jobs[bookmark] = kind, result
        messages = [f"Starting {kind}"]
        return {"success": True, "type": kind, "status": "active", "messages": messages, "at_bookmark": bookmark}

    def finish_job(self, kind: str, bookmark: str) -> Body:
        """What it answers to whoever asks for it again."""
        begun, result = self.jobs[bookmark]
        if begun != kind:
            raise Unexpected(f"a bookmark of an {begun}")
        answer = {"success": True, "type": kind, "status": "complete", "messages": [], "at_bookmark": bookmark}
        return {**answer, "result": result}

    def described(self) -> Body:
        """As the API tells of it."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "created_at": self.created_at,
            "version": "production",
            "num_tables": len(self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")),
            "file_size": 4096,
            **({"jurisdiction": self.jurisdiction} if self.jurisdiction else {}),
        }


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action in _REFUSED or (action == apsw.SQLITE_PRAGMA and first not in _PRAGMAS):
        return apsw.SQLITE_DENY
    return apsw.SQLITE_OK


def statements_of(sql: str) -> list[str]:
    """The statements of a text, each with the comments before it."""
    statements = []
    statement = ""
    for part in re.split(r"(?<=;)", sql):
        statement += part
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return [text for text in [*statements, statement] if re.sub(r"(--[^\n]*|/\*.*?\*/|[\s;])+", "", text, flags=re.S)]


@dataclass
class Script:
    """A Worker as it was uploaded last."""

    metadata: Body
    modules: dict[str, bytes]
    tag: str = field(default_factory=lambda: uuid.uuid4().hex)
    migration_tag: str | None = None
    settings: Body = field(default_factory=dict)
    crons: list[str] = field(default_factory=list)
    on_workers_dev: bool = False
    has_previews: bool = False
    versions: list[str] = field(default_factory=list)
    """The ids of all uploads; the last is deployed."""


class Known:
    """The fields of a request. What nobody asked for is left over, and refused."""

    def __init__(self, fields: Mapping[str, Any], kind: str) -> None:
        self._fields = dict(fields)
        self._kind = kind

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a field; it is known now."""
        return self._fields.pop(name, default)

    def check(self) -> None:
        """Refuses what is left."""
        if self._fields:
            raise Unexpected(f"{self._kind} {', '.join(sorted(self._fields))}")


class Unexpected(Exception):
    """A call, or a part of one, that the fake does not know."""


@dataclass
class Call:
    """A request as a route sees it."""

    query: Known
    body: Known
    content: bytes
    content_type: str


Route = Callable[..., Any]


class CloudflareApi:
    """The fake. A test reads and writes `databases` and `scripts`, and tells it how to behave."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self.scripts: dict[str, Script] = {}
        self.account_ids = [ACCOUNT]
        """The accounts that the token is for; only the first is there."""
        self.rights = {"d1", "workers"}
        """What the token may do. Without "d1" every call for a database answers 10000."""
        self.unlisted: set[str] = set()
        """Names of databases that are there and that no list shows yet."""
        self.most_databases = 50_000
        self.calls: list[str] = []
        """METHOD /path of every call so far, from below the account on."""
        self.unexpected: list[str] = []
        self.hangs = threading.Event()
        """Set once a call waits for an answer that never comes."""
        self._misbehaviour: tuple[Misbehaviour, str] | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point wrangler to it, with a token that it knows."""
        return {"CLOUDFLARE_API_BASE_URL": f"{self.origin}/client/v4", "CLOUDFLARE_API_TOKEN": TOKEN}

    def __enter__(self) -> "CloudflareApi":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_database(self, name: str, **fields: Any) -> Database:
        """Makes a database that was there all along."""
        database = Database(name, **fields)
        self.databases[database.uuid] = database
        return database

    def database(self, name: str) -> Database:
        """The database of a name."""
        (found,) = (database for database in self.databases.values() if database.name == name)
        return found

    def misbehave(self, how: Misbehaviour, on: str = "") -> None:
        """From now on calls answer 500 or HTML, or never; only those that `on`, a regular expression, is found in."""
        self._misbehaviour = how, on

    def behave(self) -> None:
        """Answers again as it should."""
        self._misbehaviour = None

    # What the server does with each call.

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, str, bytes, dict[str, str]]:
        """Status, content type, body and further headers."""
        url = urlsplit(target)
        path = url.path.removeprefix("/client/v4").replace(f"/accounts/{ACCOUNT}/", "/", 1)
        call = f"{method} {path}"
        self.calls.append(call)
        if self._misbehaviour and re.search(self._misbehaviour[1], call):
            if self._misbehaviour[0] == "hang":
                self.hangs.set()
                self._closing.wait()
            if self._misbehaviour[0] == "html":
                return 200, "text/html", b"<!DOCTYPE html><html><body>Sign in to this network</body></html>", {}
            return 500, "application/json", *_envelope(None, 10013, "An unknown error has occurred")
        try:
            with self._lock:
                return self._route(method, path, url.query, headers, content)
        except Unexpected as error:
            self.unexpected.append(f"{call}: {error}")
            return 400, "application/json", *_envelope(None, 1, f"The fake does not know this: {call}: {error}")
        except Refusal as refusal:
            return refusal.status, "application/json", *_envelope(None, refusal.code, str(refusal))

    def _route(
        self, method: str, path: str, query: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, str, bytes, dict[str, str]]:
        for route_method, pattern, right, route in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == route_method:
                if right != "signed url":
                    self._authenticate(headers.get("authorization"), right)
                content_type = headers.get("content-type", "")
                body = json.loads(content) if content and content_type.startswith("application/json") else {}
                fields = body if isinstance(body, dict) else {"": body}
                call = Call(
                    Known(dict(parse_qsl(query, keep_blank_values=True)), "query"),
                    Known(fields, "field"),
                    content,
                    content_type,
                )
                result = route(self, call, *(unquote(part) for part in match.groups()))
                call.query.check()
                call.body.check()
                if isinstance(result, Plain):
                    return 200, "text/plain", result.content, result.headers
                return 200, "application/json", *_envelope(result)
        raise Unexpected("there is no such path")

    def _authenticate(self, authorization: str | None, right: str) -> None:
        if authorization != f"Bearer {TOKEN}":
            raise Refusal(403, 9109, "Invalid access token") if right == "" else _AUTHENTICATION_ERROR
        if right and right not in self.rights:
            raise _AUTHENTICATION_ERROR

    # Accounts

    def accounts(self, call: Call) -> list[Body]:
        call.query.take("page")
        return [{"id": account_id, "name": f"Account {account_id}"} for account_id in self.account_ids]

    def memberships(self, call: Call) -> list[Body]:
        return [{"id": "1" * 32, "account": account} for account in self.accounts(call)]

    def user(self, _call: Call) -> Body:
        return {"id": "2" * 32, "email": "tests@example.com"}

    def token(self, _call: Call) -> Body:
        return {"id": "3" * 32, "status": "active"}

    # D1

    def list_databases(self, call: Call) -> list[Body]:
        per_page, page = int(call.query.take("per_page", 100)), int(call.query.take("page", 1))
        name = call.query.take("name")
        shown = [database for database in self.databases.values() if database.name not in self.unlisted]
        found = [database.described() for database in shown if name in (None, database.name)]
        return found[per_page * (page - 1) : per_page * page]

    def create_database(self, call: Call) -> Body:
        name = call.body.take("name")
        location, jurisdiction = call.body.take("primary_location_hint"), call.body.take("jurisdiction")
        call.body.check()
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise Refusal(400, 7400, "Invalid property: name => Invalid database name")
        if any(database.name == name for database in self.databases.values()):
            raise Refusal(400, 7502, "A database with that name already exists")
        if len(self.databases) >= self.most_databases:
            raise Refusal(400, 7406, f"System limit reached: databases per account ({self.most_databases})")
        return self.add_database(name, location=location, jurisdiction=jurisdiction).described()

    def get_database(self, call: Call, id_or_name: str) -> Body:
        described = self._found(id_or_name).described()
        fields = call.query.take("fields")
        return {key: described[key] for key in fields.split(",")} if fields else described

    def query_database(self, call: Call, database_id: str) -> list[Body]:
        database = self._found(database_id)
        sql, values = call.body.take("sql"), call.body.take("params")
        call.body.check()
        return database.run(sql, values or [])

    def export_database(self, call: Call, database_id: str) -> Body:
        database = self._found(database_id)
        bookmark = call.body.take("current_bookmark")
        if call.body.take("output_format") != "polling":
            raise Unexpected("an output_format other than polling")
        options = Known(call.body.take("dump_options") or {}, "dump option")
        schema, data = not options.take("no_schema"), not options.take("no_data")
        tables = options.take("tables") or []
        options.check()
        if bookmark is None:
            name = f"{database.uuid}.sql"
            database.uploads[name] = dump(database, schema, data, tables).encode()
            result = {"filename": name, "signed_url": f"{self.origin}/files/{database.uuid}/{name}"}
            return database.begin_job("export", result)
        return database.finish_job("export", bookmark)

    def import_into_database(self, call: Call, database_id: str) -> Body:
        database = self._found(database_id)
        names = ("action", "etag", "filename", "current_bookmark")
        action, etag, filename, bookmark = (call.body.take(name) for name in names)
        if action == "poll":
            return database.finish_job("import", bookmark)
        if action == "init":
            name = f"{etag}.sql"
            return {"upload_url": f"{self.origin}/files/{database.uuid}/{name}", "filename": name}
        if action != "ingest" or hashlib.md5(database.uploads[filename]).hexdigest() != etag:
            raise Unexpected(f"the import action {action}")
        try:
            results = database.run(database.uploads[filename].decode(), [])
        except Refusal as refusal:
            return {"success": False, "type": "import", "status": "error", "messages": [], "error": str(refusal)}
        meta = {"duration": 1.0, "rows_read": 0, "rows_written": 0, "size_after": 4096}
        return database.begin_job(
            "import", {"num_queries": len(results), "final_bookmark": "bookmark-after", "meta": meta}
        )

    def put_file(self, call: Call, database_id: str, name: str) -> "Plain":
        self.databases[database_id].uploads[name] = call.content
        return Plain(b"", {"ETag": f'"{hashlib.md5(call.content).hexdigest()}"'})

    def get_file(self, _call: Call, database_id: str, name: str) -> "Plain":
        return Plain(self.databases[database_id].uploads[name], {})

    # Workers

    def get_service(self, _call: Call, name: str) -> Body:
        script = self._script(name)
        described = {
            "id": name,
            "tag": script.tag,
            "tags": script.settings.get("tags"),
            "last_deployed_from": "wrangler",
        }
        if script.migration_tag:
            described["migration_tag"] = script.migration_tag
        return {"id": name, "default_environment": {"environment": "production", "script": described}}

    def put_script(self, call: Call, name: str) -> Body:
        if call.query.take("excludeScript") != "true":
            raise Unexpected("an upload that asks for the script back")
        script = self._upload(call, name)
        return {
            "id": name,
            "tag": script.tag,
            "etag": "etag",
            "deployment_id": script.versions[-1].replace("-", ""),
            "startup_time_ms": 1,
        }

    def post_version(self, call: Call, name: str) -> Body:
        self._script(name)
        script = self._upload(call, name)
        return {"id": script.versions[-1], "resources": {"script": {"etag": "etag"}}, "startup_time_ms": 1}

    def list_deployments(self, _call: Call, name: str) -> Body:
        version = {"version_id": self._script(name).versions[-1], "percentage": 100}
        return {"deployments": [{"id": version["version_id"], "strategy": "percentage", "versions": [version]}]}

    def post_deployment(self, call: Call, name: str) -> Body:
        self._script(name)
        for known in ("strategy", "annotations", "code_update_strategy"):
            call.body.take(known)
        (version,) = call.body.take("versions")
        return {"id": version["version_id"]}

    def get_settings(self, _call: Call, name: str) -> Body:
        script = self._script(name)
        return {"bindings": script.metadata["bindings"], **script.settings}

    def patch_settings(self, call: Call, name: str) -> Body:
        settings = self._script(name).settings
        for known in ("tail_consumers", "logpush", "observability", "tags"):
            settings[known] = call.body.take(known, settings.get(known))
        return settings

    def get_worker(self, _call: Call, name: str) -> Body:
        return {"name": name, "subdomain": self._subdomain_of(self._script(name))}

    def set_subdomain(self, call: Call, name: str) -> Body:
        script = self._script(name)
        script.on_workers_dev = call.body.take("enabled")
        script.has_previews = call.body.take("previews_enabled", script.has_previews)
        return self._subdomain_of(script)

    def put_schedules(self, call: Call, name: str) -> Body:
        schedules = call.body.take("")
        self._script(name).crons = [schedule["cron"] for schedule in schedules]
        return {"schedules": schedules}

    def list_secrets(self, _call: Call, name: str) -> list[Body]:
        self._script(name)
        return []

    def subdomain(self, _call: Call) -> Body:
        return {"subdomain": "tests"}

    def _upload(self, call: Call, name: str) -> Script:
        call.query.take("bindings_inherit")
        head = f"Content-Type: {call.content_type}\r\n\r\n".encode()
        modules: dict[str, bytes] = {}
        for part in message_from_bytes(head + call.content).walk():
            if not part.is_multipart():
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                modules[str(part.get_param("name", header="content-disposition"))] = content
        metadata: Body = json.loads(modules.pop("metadata"))
        _check_metadata(metadata, modules)
        for binding in metadata["bindings"]:
            if binding["type"] == "d1" and binding["id"] not in self.databases:
                message = f"binding {binding['name']} of type d1 must have a valid `id` specified"
                raise Refusal(400, 10021, message)
        script = self.scripts.setdefault(name, Script(metadata, modules))
        script.metadata, script.modules = metadata, modules
        script.versions.append(str(uuid.uuid4()))
        if migrations := metadata.get("migrations"):
            if migrations.get("old_tag") != script.migration_tag:
                raise Refusal(412, 10079, "Migration tag precondition failed")
            script.migration_tag = migrations["new_tag"]
        return script

    def _script(self, name: str) -> Script:
        if name not in self.scripts:
            raise Refusal(404, 10007, "This Worker does not exist on your account.")
        return self.scripts[name]

    def _subdomain_of(self, script: Script) -> Body:
        return {"enabled": script.on_workers_dev, "previews_enabled": script.has_previews}

    def _found(self, id_or_name: str) -> Database:
        for database in self.databases.values():
            if id_or_name in (database.uuid, database.name):
                return database
        raise Refusal(404, 7404, f"The database {id_or_name} could not be found")


_AUTHENTICATION_ERROR = Refusal(403, 10000, "Authentication error")


@dataclass
class Plain:
    """An answer without the envelope."""

    content: bytes
    headers: dict[str, str]


def _envelope(result: Any, code: int = 0, message: str = "") -> tuple[bytes, dict[str, str]]:
    errors = [{"code": code, "message": message}] if code else []
    answer: Body = {"success": not code, "errors": errors, "messages": [], "result": result}
    return json.dumps(answer).encode(), {}


_BINDINGS = {
    "plain_text": {"name", "type", "text"},
    "json": {"name", "type", "json"},
    "secret_text": {"name", "type", "text"},
    "inherit": {"name", "type"},
    "d1": {"name", "type", "id"},
    "durable_object_namespace": {"name", "type", "class_name"},
}
_METADATA = {"main_module", "bindings", "compatibility_date", "compatibility_flags", "migrations", "keep_bindings"}
_METADATA |= {"code_update_strategy", "annotations", "observability", "package_dependencies"}


def _check_metadata(metadata: Body, modules: Mapping[str, bytes]) -> None:
    if unknown := metadata.keys() - _METADATA:
        raise Unexpected(f"metadata {', '.join(sorted(unknown))}")
    if metadata["main_module"] not in modules:
        raise Refusal(400, 10021, f'No such module "{metadata["main_module"]}".')
    for binding in metadata["bindings"]:
        if unknown := binding.keys() - _BINDINGS.get(binding["type"], set()):
            raise Unexpected(f"the binding {binding['type']} with {', '.join(sorted(unknown))}")


def dump(database: Database, schema: bool, data: bool, tables: list[str]) -> str:
    """As dumpSql in miniflare writes it. Of tables that are not asked for, not even a virtual one is in its way."""
    lines = ["PRAGMA defer_foreign_keys=TRUE;"]
    query = "SELECT name, type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND sql IS NOT NULL"
    for name, type_, sql in database.rows(query):
        if tables and name not in tables:
            continue
        if sql.startswith("CREATE VIRTUAL TABLE"):
            raise Refusal(400, 7500, "D1 Export error: cannot export databases with Virtual Tables (fts5)")
        if schema:
            lines.append(f"{sql};")
        if data and type_ == "table":
            columns = ",".join(f'"{row[1]}"' for row in database.rows(f'PRAGMA table_info("{name}")'))
            lines += [
                f'INSERT INTO "{name}" ({columns}) VALUES({",".join(map(_dumped, row))});'
                for row in database.rows(f'SELECT {columns} FROM "{name}"')
            ]
    return "\n".join(lines)


def _dumped(value: Any) -> str:
    """A value in a dump. A backslash and an n that were there stay as they are, and are taken for a line feed."""
    if not isinstance(value, str):
        return apsw.format_sql_value(value)
    text = "'" + value.replace("'", "''").replace("\n", "\\n").replace("\r", "\\r") + "'"
    text = rf"replace({text},'\r',char(13))" if "\r" in value else text
    return rf"replace({text},'\n',char(10))" if "\n" in value else text


_ROUTES: list[tuple[str, str, str, Route]] = [
    ("GET", "/accounts", "", CloudflareApi.accounts),
    ("GET", "/memberships", "", CloudflareApi.memberships),
    ("GET", "/user", "", CloudflareApi.user),
    ("GET", "/user/tokens/verify", "", CloudflareApi.token),
    ("GET", "/d1/database", "d1", CloudflareApi.list_databases),
    ("POST", "/d1/database", "d1", CloudflareApi.create_database),
    ("GET", "/d1/database/([^/]+)", "d1", CloudflareApi.get_database),
    ("POST", "/d1/database/([^/]+)/query", "d1", CloudflareApi.query_database),
    ("POST", "/d1/database/([^/]+)/export", "d1", CloudflareApi.export_database),
    ("POST", "/d1/database/([^/]+)/import", "d1", CloudflareApi.import_into_database),
    ("GET", "/workers/services/([^/]+)", "workers", CloudflareApi.get_service),
    ("PUT", "/workers/scripts/([^/]+)", "workers", CloudflareApi.put_script),
    ("POST", "/workers/scripts/([^/]+)/versions", "workers", CloudflareApi.post_version),
    ("POST", "/workers/scripts/([^/]+)/deployments", "workers", CloudflareApi.post_deployment),
    ("GET", "/workers/scripts/([^/]+)/deployments", "workers", CloudflareApi.list_deployments),
    ("GET", "/workers/scripts/([^/]+)/settings", "workers", CloudflareApi.get_settings),
    ("PATCH", "/workers/scripts/([^/]+)/script-settings", "workers", CloudflareApi.patch_settings),
    ("GET", "/workers/scripts/([^/]+)/secrets", "workers", CloudflareApi.list_secrets),
    ("POST", "/workers/scripts/([^/]+)/subdomain", "workers", CloudflareApi.set_subdomain),
    ("PUT", "/workers/scripts/([^/]+)/schedules", "workers", CloudflareApi.put_schedules),
    ("GET", "/workers/workers/([^/]+)", "workers", CloudflareApi.get_worker),
    ("GET", "/workers/subdomain", "workers", CloudflareApi.subdomain),
    ("PUT", "/files/([^/]+)/([^/]+)", "signed url", CloudflareApi.put_file),
    ("GET", "/files/([^/]+)/([^/]+)", "signed url", CloudflareApi.get_file),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: CloudflareApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Hands any request to the fake."""
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, content_type, body, more = self.server.api.answer(self.command, self.path, headers, content)
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 the names are http.server's

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002
        """Nothing: `calls` has them."""
