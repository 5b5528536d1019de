"""The Worker with its bindings counted: `GET /counts` tells how often each was crossed since it was last asked."""

from collections import Counter
from typing import Any

from workers import Request, Response

import entry

counts: Counter[str] = Counter()


class CountedStatement:
    """A D1 statement; to run it alone would be a round trip."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement

    def bind(self, *values: Any) -> "CountedStatement":
        return CountedStatement(self.statement.bind(*values))

    def __getattr__(self, name: str) -> Any:
        counts[f"d1.{name}"] += 1
        return getattr(self.statement, name)


class CountedDatabase:
    """A D1 database, or a session with one."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def withSession(self, *arguments: Any) -> "CountedDatabase":  # noqa: N802
        return CountedDatabase(self.database.withSession(*arguments))

    def getBookmark(self) -> Any:  # noqa: N802
        return self.database.getBookmark()

    def prepare(self, text: str) -> CountedStatement:
        return CountedStatement(self.database.prepare(text))

    def batch(self, statements: list[CountedStatement]) -> Any:
        counts["d1.batch"] += 1
        return self.database.batch([counted.statement for counted in statements])

    def __getattr__(self, name: str) -> Any:
        counts[f"d1.{name}"] += 1
        return getattr(self.database, name)


class CountedObject:
    """The stub of a Durable Object."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def __getattr__(self, name: str) -> Any:
        counts[f"object.{name}"] += 1
        return getattr(self.stub, name)


class CountedObjects:
    """A namespace of Durable Objects."""

    def __init__(self, objects: Any) -> None:
        self.objects = objects

    def getByName(self, name: str) -> CountedObject:  # noqa: N802
        return CountedObject(self.objects.getByName(name))


class CountedStorage:
    """The storage of a Durable Object. What runs inside a transaction is part of it."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    @property
    def sql(self) -> Any:
        return self.storage.sql

    def transactionSync(self, work: Any) -> Any:  # noqa: N802
        counts["storage.transactionSync"] += 1
        return self.storage.transactionSync(work)

    def __getattr__(self, name: str) -> Any:
        counts[f"storage.{name}"] += 1
        return getattr(self.storage, name)


class CountedEnvironment:
    """The environment with every binding counted."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.env, name)
        if name == "CONVERSATIONS_D1":
            return CountedDatabase(value)
        return CountedObjects(value) if name == "AGENT_CONVERSATIONS_DO" else value


class CountedContext:
    """An object's context with its storage counted."""

    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx
        self.storage = CountedStorage(ctx.storage)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ctx, name)


class Default(entry.Default):
    """The entrypoint over counted bindings."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.env = CountedEnvironment(self.env)

    async def fetch(self, request: Request) -> Response:
        if request.url.endswith("/counts"):
            response = Response.json(dict(counts))
            counts.clear()
            return response
        return await super().fetch(request)


class UserConversations(entry.UserConversations):
    """An object over counted storage."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.ctx = CountedContext(self.ctx)
