"""Sends the contestants single requests, and returns the responses, to look at."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tools.checkout import Problem

USER = "bench-user"
SERVICE_KEY = "tk_key_of_the_benchmark"
HEADERS = {"authorization": f"Bearer {SERVICE_KEY}", "x-user-id": USER}

_SECONDS = 120


@dataclass(frozen=True)
class Request:
    """A request of the user that is measured."""

    method: str
    path: str
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """Its own, and those that every request has."""
        types = {} if self.body is None else {"content-type": "application/json"}
        return {**HEADERS, **types, **self.headers}

    def as_json(self) -> dict[str, Any]:
        """As bench/load takes it."""
        fields = {"method": self.method, "path": self.path, "headers": self.all_headers()}
        return fields if self.body is None else {**fields, "body": self.body}


@dataclass(frozen=True)
class Response:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        """The body, if it is JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Problem(f"an answer with status {self.status} is not JSON: {self.body[:200]!r}") from None


def send_request(url: str, request: Request) -> Response:
    """Sends one request, and returns the response."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    body = None if request.body is None else request.body.encode()
    try:
        connection.request(request.method, request.path, body, request.all_headers())
        response = connection.getresponse()
        return Response(
            response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
        )
    except (OSError, http.client.HTTPException) as error:
        raise Problem(f"{request.method} {request.path.partition('?')[0]} is not answered: {error!r}") from None
    finally:
        connection.close()
