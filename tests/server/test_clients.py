"""Clients that really exist write and import, and what they wrote is there, whatever they offer to speak instead."""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.backends import server
from support.in_process import as_user
from threadkeep.ids import new_id
from tools.local.install import install
from tools.local.server import LocalServer

API = "/api/conversations"
PATIENCE_SECONDS = 60
TITLE = "Grüße, 世界"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("clients")) as running:
        yield running


def requests_of(user: str) -> list[tuple[str, dict[str, str], str]]:
    """What each client sends: a conversation, and another that is imported."""
    document = {"version": 1, "conversation": {"id": new_id(), "title": TITLE, "messages": []}}
    headers = {name.title(): value for name, value in as_user(user).items()}
    return [
        (API, {**headers, "Content-Type": "application/json"}, json.dumps({"title": TITLE})),
        ("/api/import", {**headers, "Content-Type": "application/x-ndjson"}, f"{json.dumps(document)}\n"),
    ]


def assert_kept(running: LocalServer, user: str) -> None:
    with httpx.Client(base_url=running.url, headers=as_user(user)) as client:
        titles = [each["title"] for each in client.get(API).json()["conversations"]]
    assert titles == [TITLE, TITLE]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_httpx(running: LocalServer) -> None:
    with httpx.Client(base_url=running.url) as client:
        for path, headers, body in requests_of("httpx"):
            assert client.post(path, headers=headers, content=body).is_success
    assert_kept(running, "httpx")


def test_httpx_in_chunks(running: LocalServer) -> None:
    with httpx.Client(base_url=running.url) as client:
        for path, headers, body in requests_of("chunks"):
            pieces = (body[place : place + 7].encode() for place in range(0, len(body), 7))
            assert client.post(path, headers=headers, content=pieces).is_success
    assert_kept(running, "chunks")


def test_http_client_of_python(running: LocalServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE_SECONDS)
    for path, headers, body in requests_of("python"):
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status in (200, 201)
    connection.close()
    assert_kept(running, "python")


@pytest.mark.parametrize("version", ["--http2", "--http1.1", "--http1.0"])
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_curl(running: LocalServer, version: str) -> None:
    user = f"curl{version}"
    for path, headers, body in requests_of(user):
        fields = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
        run("curl", "--fail", "--silent", version, *fields, "--data-binary", body, f"{running.url}{path}")
    assert_kept(running, user)


FETCH = """
const [url, calls] = [process.argv[1], JSON.parse(process.argv[2])]
for (const [path, headers, body] of calls) {
  const response = await fetch(url + path, {method: "POST", headers, body})
  await response.text()
  if (!response.ok) throw new Error(response.status)
}
"""
NODE_HTTP = """
import http from "node:http"
const [url, calls] = [process.argv[1], JSON.parse(process.argv[2])]
const agent = new http.Agent({keepAlive: true})
for (const [path, headers, body] of calls) {
  await new Promise((resolve, reject) => {
    const request = http.request(url + path, {method: "POST", headers, agent}, response => {
      response.resume().on("end", () => response.statusCode < 300 ? resolve() : reject(new Error(response.statusCode)))
    })
    request.on("error", reject)
    request.write(body.slice(0, 10))  // so that it is sent in chunks
    request.end(body.slice(10))
  })
}
agent.destroy()
"""


@pytest.mark.parametrize("program", [FETCH, NODE_HTTP], ids=["fetch", "http"])
def test_node(running: LocalServer, program: str) -> None:
    user = f"node{len(program)}"
    calls = json.dumps(requests_of(user))
    run(str(install().program), "--input-type=module", "--eval", program, running.url, calls)
    assert_kept(running, user)


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Client {
  public static void main(String[] calls) throws Exception {
    HttpClient client = HttpClient.newHttpClient();  // which offers h2c
    for (int i = 0; i < calls.length; i += 5) {
      HttpRequest request = HttpRequest.newBuilder(URI.create(calls[i]))
        .header("Authorization", calls[i + 1]).header("X-User-Id", calls[i + 2]).header("Content-Type", calls[i + 3])
        .POST(HttpRequest.BodyPublishers.ofString(calls[i + 4])).build();
      int status = client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
      if (status > 201) throw new Exception("" + status);
    }
  }
}
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not here")
def test_java(running: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("java") / "Client.java"
    file.write_text(JAVA)
    arguments = []
    for path, headers, body in requests_of("java"):
        arguments += [f"{running.url}{path}", headers["Authorization"], "java", headers["Content-Type"], body]
    run("java", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", str(file), *arguments)
    assert_kept(running, "java")


# As they write it: the head in one segment, and the body in another.
WIRE = {
    "Java": (
        "POST {path} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: {length}\r\nHost: 127.0.0.1\r\n"
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"
        "User-Agent: Java-http-client/17.0.15\r\n{headers}\r\n"
    ),
    "Go": (
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {length}\r\n"
        "{headers}Accept-Encoding: gzip\r\n\r\n"
    ),
    "Go in chunks": (
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\n"
        "{headers}Accept-Encoding: gzip\r\n\r\n"
    ),
}


@pytest.mark.parametrize("client", WIRE)
def test_what_others_write(running: LocalServer, client: str) -> None:
    head = WIRE[client]
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE_SECONDS) as connection:
        for path, headers, text in requests_of(client):
            body = text.encode()
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            connection.sendall(head.format(path=path, length=len(body), headers=fields).encode())
            connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if "chunked" in head else body)
            response = http.client.HTTPResponse(connection)
            response.begin()
            answer: Any = json.loads(response.read())
            assert response.status in (200, 201), answer
    assert_kept(running, client)
