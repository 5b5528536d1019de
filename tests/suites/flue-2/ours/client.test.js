// The client: what it sends, what it sends again, and what it says.

import { createServer } from "node:http";
import { Client, ThreadkeepError } from "threadkeep/client";
import { afterEach, expect, test } from "vitest";

/** @type {import("node:http").Server | undefined} */
let server;
let seen = [];

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  seen = [];
});

/** A server that answers each request with the next of these: a status with a body and headers, or a function. */
async function answering(...answers) {
  server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks) });
    const answer = answers[Math.min(seen.length, answers.length) - 1];
    if (typeof answer === "function") return answer(request, response);
    const [status, body, headers = {}] = answer;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return (options = {}) => new Client({ url, key: "tk_1", user: "alice", ...options });
}

const refused = (code, message, details) => ({ error: { code, message, details } });
const broken = (request) => request.socket.destroy();
const cutOff = (_, response) => {
  response.writeHead(200, { "content-length": "99", "content-type": "application/json" });
  response.write("{", () => response.destroy());
};

test("a request says who asks, and names are parts of the path whatever they have in them", async () => {
  const client = (await answering([200, { ok: true }]))();
  const { body, status, repeated } = await client.send("PUT", ["journals", "a b/c", 'k"[]?#%é'], {
    json: { n: 1 },
    query: { limit: 3, head: true, cursor: undefined },
    headers: { "if-match": '"1"' },
  });
  expect({ body, status, repeated }).toEqual({ body: { ok: true }, status: 200, repeated: false });
  const [{ method, url, headers, body: sent }] = seen;
  expect(`${method} ${url}`).toBe("PUT /api/journals/a%20b%2Fc/k%22%5B%5D%3F%23%25%C3%A9?limit=3&head=true");
  expect(headers).toMatchObject({
    authorization: "Bearer tk_1",
    "x-user-id": "alice",
    "content-type": "application/json",
    "if-match": '"1"',
    "idempotency-key": expect.stringMatching(/^[\w.-]{1,64}$/),
  });
  expect(sent.toString()).toBe('{"n":1}');
});

test.each([
  ["a broken connection", broken],
  ["503", [503, refused("unavailable", "Busy.")]],
  ["502 without JSON", (_, response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>")],
  ["504", [504, {}]],
  ["429", [429, refused("rate_limited", "Slower."), { "retry-after": "0" }]],
  ["an answer that is cut off", cutOff],
])("it is sent again, under the same name, after %s", async (_, answer) => {
  const client = (await answering(answer, answer, [201, { ok: true }]))();
  const { status, repeated } = await client.send("POST", ["a"], { json: {} });
  expect({ status, repeated, sent: seen.length }).toEqual({ status: 201, repeated: true, sent: 3 });
  expect(new Set(seen.map((each) => each.headers["idempotency-key"])).size).toBe(1);
});

test("it is sent four times at most, and then it is an error that says what to do", async () => {
  const client = (await answering([503, refused("unavailable", "The database is busy.")]))();
  await expect(client.send("GET", ["a"])).rejects.toMatchObject({ status: 503, code: "unavailable", message: "The database is busy." });
  expect(seen).toHaveLength(4);
});

test("where nobody listens, it says that, and where", async () => {
  const client = (await answering(broken))();
  server?.close();
  const failed = client.send("GET", ["a"]);
  await expect(failed).rejects.toBeInstanceOf(ThreadkeepError);
  await expect(failed).rejects.toThrow(/^Threadkeep could not be reached at http:\/\/127.0.0.1:\d+\. See whether it runs/);
});

test("a server that does not answer in time is asked again", async () => {
  const client = (await answering(() => {}, [200, {}]))({ timeoutMs: 50 });
  expect(await client.send("GET", ["a"])).toMatchObject({ status: 200, repeated: true });
});

test.each([400, 401, 403, 404, 409, 410, 412, 413, 500, 501])("%s is not sent again", async (status) => {
  const client = (await answering([status, refused("some_code", "Why.", { reason: "because" })]))();
  const failed = { status, code: "some_code", message: "Why.", details: { reason: "because" }, reason: "because" };
  await expect(client.send("POST", ["a"], { json: {} })).rejects.toMatchObject(failed);
  expect(seen).toHaveLength(1);
});

test("404 is an answer where that was said", async () => {
  const client = (await answering([404, refused("not_found", "None.")]))();
  expect(await client.send("GET", ["a"], { optional: true })).toMatchObject({ status: 404 });
});

test("bytes are sent and come back as they are", async () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index % 256);
  const client = (await answering((_, response) => response.writeHead(200, { "content-type": "image/png" }).end(bytes)))();
  const { body } = await client.send("PUT", ["blobs", "s", "k"], { bytes });
  expect(Buffer.compare(seen[0].body, bytes)).toBe(0);
  expect(Buffer.compare(new Uint8Array(body), bytes)).toBe(0);
});

test("on D1, what is read comes after what was written: the greatest bookmark is sent along", async () => {
  const marked = (bookmark) => [200, {}, { "x-d1-bookmark": bookmark }];
  const client = (await answering(marked("0001-b"), marked("0001-a"), marked("0002-a"), [200, {}]))();
  for (let number = 0; number < 4; number += 1) await client.send("GET", ["a"]);
  expect(seen.map((each) => each.headers["x-d1-bookmark"])).toEqual([undefined, "0001-b", "0001-b", "0002-a"]);
});

test("what cannot stand in an address is refused before it is sent", async () => {
  const client = (await answering([200, {}]))();
  for (const name of ["", ".", "..", "\ud83d"]) {
    await expect(client.send("GET", ["journals", "s", name])).rejects.toMatchObject({ code: "invalid" });
  }
  expect(seen).toEqual([]);
});

test("without an address it says what to set", () => {
  const kept = process.env.THREADKEEP_URL;
  delete process.env.THREADKEEP_URL;
  try {
    expect(() => new Client()).toThrow("Say where Threadkeep is: set THREADKEEP_URL, or pass `url`.");
    expect(() => new Client({ url: "threadkeep" })).toThrow();
  } finally {
    process.env.THREADKEEP_URL = kept;
  }
});
