"""The Worker with its bindings counted: `GET /counts` tells how often each was crossed since it was last asked.

So is how often the runtime looked at the signature of a method, how often the SDK converted something of JavaScript's,
how often Python's event loop asked JavaScript for a turn, and how often a path was matched with the routes.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyodide.code
import workers
from pyodide.ffi import JsProxy, to_js
from pyodide.webloop import WebLoop
from workers import Response

counts: Counter[str] = Counter()


def _counted_conversion(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def counted(value: Any) -> Any:
        if isinstance(value, JsProxy):
            counts["conversions"] += 1
        return convert(value)

    return counted


workers.python_from_rpc = _counted_conversion(workers.python_from_rpc)  # before the Worker takes them
workers.python_to_rpc = _counted_conversion(workers.python_to_rpc)

import entry  # noqa: E402
from threadkeep.http.router import Router  # noqa: E402
from threadkeep.worker import environment, sdk_patches  # noqa: E402

try:
    from threadkeep.storage.sqlite import d1
except ImportError:  # no D1 is bound
    d1 = None

_signature = pyodide.code._relaxed_call_sig


def _counted_signature(function: Any) -> Any:
    counts["signatures"] += 1
    return _signature(function)


pyodide.code._relaxed_call_sig = _counted_signature  # what the runtime asks when it does not know a method yet

_share_turns = sdk_patches.share_turns
_call_later = WebLoop.call_later


def _share_counted_turns(ask_for_turn: Any) -> None:
    def ask(run: Any) -> None:
        counts["turns"] += 1
        ask_for_turn(run)

    _share_turns(ask)


def _counted_turn(*arguments: Any, **options: Any) -> Any:
    counts["turns"] += 1
    return _call_later(*arguments, **options)


sdk_patches.share_turns = _share_counted_turns
WebLoop.call_later = _counted_turn  # which is what its `call_soon` calls, too


_match = Router.match


def _counted_match(router: Any, path: str) -> Any:
    counts["matches"] += 1
    return _match(router, path)


Router.match = _counted_match


class Counted:
    """Something of JavaScript. What is asked of it is counted, but for what its own class says is no round trip."""

    kind: str

    def __init__(self, counted: Any) -> None:
        self.counted = counted

    def __getattr__(self, name: str) -> Any:
        counts[f"{self.kind}.{name}"] += 1
        return getattr(self.counted, name)


class CountedStatement(Counted):
    """A D1 statement; to run it alone is a round trip."""

    kind = "d1"

    def bind(self, *values: Any) -> "CountedStatement":
        return CountedStatement(self.counted.bind(*values))


class CountedDatabase(Counted):
    """A D1 database, or a session with one."""

    kind = "d1"

    def withSession(self, *arguments: Any) -> "CountedDatabase":  # noqa: N802
        return CountedDatabase(self.counted.withSession(*arguments))

    def getBookmark(self) -> Any:  # noqa: N802
        return self.counted.getBookmark()

    def prepare(self, text: str) -> CountedStatement:
        return CountedStatement(self.counted.prepare(text))


def _array(statements: list[CountedStatement]) -> Any:
    return to_js([statement.counted for statement in statements])


if d1 is not None:
    d1.to_js = _array


class CountedObject(Counted):
    """The stub of a Durable Object."""

    kind = "object"


class CountedObjects(Counted):
    """A namespace of Durable Objects."""

    kind = "objects"

    def getByName(self, name: str) -> CountedObject:  # noqa: N802
        return CountedObject(self.counted.getByName(name))


class CountedStorage(Counted):
    """The storage of a Durable Object. What runs inside a transaction is part of it."""

    kind = "storage"

    def __init__(self, counted: Any) -> None:
        super().__init__(counted)
        self.in_transaction = False

    @property
    def sql(self) -> "CountedStorage":
        return self

    def exec(self, text: str, *values: Any) -> Any:
        if not self.in_transaction:
            counts["storage.exec"] += 1
        return self.counted.sql.exec(text, *values)

    def transactionSync(self, work: Any) -> Any:  # noqa: N802
        counts["storage.transactionSync"] += 1
        self.in_transaction = True
        try:
            return self.counted.transactionSync(work)
        finally:
            self.in_transaction = False


_KINDS = {"CONVERSATIONS_D1": CountedDatabase, "AGENT_CONVERSATIONS_DO": CountedObjects}
_binding = environment.BoundPlace.binding


def _counted(place: environment.BoundPlace, name: str) -> Any:
    bound = _binding(place, name)
    return None if bound is None else _KINDS[name](bound)


environment.BoundPlace.binding = _counted


class Default(entry.Default):
    """The entrypoint over counted bindings."""

    async def fetch(self, request: Any) -> Any:
        if request.url.endswith("/counts"):
            response = Response.json(dict(counts))
            counts.clear()
            return response
        return await super().fetch(request)


class UserConversations(entry.UserConversations):
    """An object over counted storage."""

    def __new__(cls, ctx: Any, env: Any) -> "UserConversations":
        self: UserConversations = super().__new__(cls, ctx, env)
        self._storage = CountedStorage(self._storage)
        return self
