"""The router: from a path to the routes that stand there.

Our own, because on Workers a framework costs 2 to 3 ms a request where this costs next to nothing.
"""

import re
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote

from threadkeep.errors import Invalid, NotFound
from threadkeep.http.problems import MethodNotAllowed


class HasPath(Protocol):
    """Anything that can be routed to: a method, and a path such as `/api/conversations/{id}`."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=HasPath)


class Resource(Generic[R]):
    """What stands at a path: its routes, by method. HEAD is answered as GET."""

    def __init__(self, path: str) -> None:
        self.path = path
        """As it was declared, such as `/api/conversations/{id}`."""
        self.routes: dict[str, R] = {}

    def route(self, method: str) -> R:
        """Return the route of a method. Raises MethodNotAllowed for one that the path does not take."""
        route = self.routes.get("GET" if method == "HEAD" else method)
        if route is None:
            allow = self.allow()
            raise MethodNotAllowed(f"This address takes {', '.join(allow)}, and not {method}.", {"allow": allow})
        return route

    def allow(self) -> list[str]:
        """Return the methods that the path takes."""
        return sorted({*self.routes, "OPTIONS", *(("HEAD",) if "GET" in self.routes else ())})


class Router(Generic[R]):
    """Matches a path whole, or else by its pattern."""

    def __init__(self, routes: Iterable[R]) -> None:
        self._fixed: dict[str, Resource[R]] = {}
        patterns: dict[str, Resource[R]] = {}
        for route in routes:
            resources = patterns if "{" in route.path else self._fixed
            resources.setdefault(route.path, Resource(route.path)).routes[route.method] = route
        # What has more steps of its own goes before what would take these for names.
        in_order = sorted(patterns.items(), key=lambda item: item[0].count("{"))
        self._patterns = [(_pattern(path).fullmatch, resource) for path, resource in in_order]

    def match(self, path: str) -> tuple[Resource[R], dict[str, str]]:
        """Return what stands at a path, and the parameters in it, decoded. Raises NotFound, or Invalid for no UTF-8."""
        if path in self._fixed:
            return self._fixed[path], {}
        # An empty id at the end is a slash too many. What deletes one conversation must not be taken for all of them.
        for match, resource in self._patterns if path[-1:] != "/" else ():
            found = match(path)
            if found:
                return resource, {name: _decoded(name, segment) for name, segment in found.groupdict().items()}
        raise NotFound(f"There is nothing at this address. {self._meant(path)}{_SEE}")

    def _meant(self, path: str) -> str:
        """Name the address that a path with slashes too many was to be, if there is one."""
        without = _SLASHES.sub("/", path).rstrip("/")
        if without == path or not without:
            return ""
        try:
            resource, _ = self.match(without)
        except (NotFound, Invalid):
            return ""
        return f"Did you mean {resource.path}, without the extra slash? "


_SEE = "The page /docs of this API shows what there is."
_SLASHES = re.compile("/{2,}")


def _pattern(path: str) -> re.Pattern[str]:
    """Return `/things/{id}` as a regular expression: a name in braces is any one segment."""
    steps = (f"(?P<{step[1:-1]}>[^/]*)" if step[:1] == "{" else re.escape(step) for step in path.split("/"))
    return re.compile("/".join(steps))


def _decoded(name: str, segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise Invalid(f"{name}: What the path has here is not UTF-8.", name) from error
