"""OpenAI's own client, as it is, over a back end under test: also over one that is in this process."""

import httpx
import httpx2
from openai import AsyncOpenAI

from support.backends import Backend
from support.in_process import SERVICE_KEY
from threadkeep.http.problems import OPENAI


class _Over(httpx2.AsyncBaseTransport):
    """Sends what OpenAI's client asks by the client of a back end, which speaks the HTTP of another library."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.sent: list[httpx.Request] = []
        self.to_drop = 0
        """Of how many of the next requests the answer is lost."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        asked = self._client.build_request(
            request.method, str(request.url), content=await request.aread(), headers=headers
        )
        self.sent.append(asked)
        answer = await self._client.send(asked)
        if self.to_drop:
            self.to_drop -= 1
            raise httpx2.ReadError("The connection broke.", request=request)
        kept = {name: value for name, value in answer.headers.items() if name not in _OF_THE_CONNECTION}
        return httpx2.Response(answer.status_code, headers=kept, content=answer.content)


def openai_client(backend: Backend, user_id: str, key: str = SERVICE_KEY) -> tuple[AsyncOpenAI, _Over]:
    """The client of a user, and what it sends by."""
    over = _Over(backend.client)
    client = AsyncOpenAI(
        base_url=str(backend.client.base_url).rstrip("/") + OPENAI.rstrip("/"),
        api_key=key,
        default_headers={"X-User-Id": user_id},
        http_client=httpx2.AsyncClient(transport=over),
    )
    return client, over


_OF_THE_CONNECTION = ("content-length", "content-encoding", "transfer-encoding", "connection")
