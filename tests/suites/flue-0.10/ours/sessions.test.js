// Sessions come back as they were, whoever wrote them last, and a turn sends only what is new.

import { randomUUID } from "node:crypto";
import { Client } from "threadkeep/client";
import { expect, test } from "vitest";
import { counting, losing } from "../../fetches.js";
import { adapter } from "../store.js";

const TIME = "2026-06-03T00:00:00.000Z";
const entry = (id, text = id) => ({ type: "message", id, parentId: null, timestamp: TIME, message: { role: "user", text } });
const session = (entries, more = {}) => ({
  version: 5,
  affinityKey: "affinity-1",
  entries,
  leafId: entries.at(-1)?.id ?? null,
  metadata: {},
  createdAt: TIME,
  updatedAt: TIME,
  ...more,
});

/** Two adapters of one new user, as two processes have them. */
function twoWriters(options = {}) {
  const user = `flue-sessions-${randomUUID()}`;
  return [adapter({ user, ...options }).connect().sessions, adapter({ user, ...options }).connect().sessions];
}

const KEPT = {
  "a session": session([entry("a"), entry("b")]),
  "one without entries": session([]),
  "one of a thousand and some entries": session(Array.from({ length: 1_203 }, (_, n) => entry(`entry-${n}`))),
  "one of 4.8 MB": session(Array.from({ length: 48 }, (_, n) => entry(`entry-${n}`, "x".repeat(100_000)))),
  "an entry of 2.6 MB": session([entry("large", "é".repeat(1_300_000)), entry("small")]),
  "half a surrogate": session([entry("cut", "\ud83d"), entry("whole", "\u{1f600}")], { metadata: { title: "\ude00" } }),
  "half a surrogate and no entries": session([], { metadata: { title: "\ude00" } }),
  "what looks like a wrapper": session([{ id: "a", $json: "{}" }], { $json: "1" }),
  "deep nesting": session([{ id: "deep", data: JSON.parse(`${"[".repeat(400)}${"]".repeat(400)}`) }]),
  "ids that are there twice": session([entry("a"), entry("a", "again")]),
  "an id that is too long": session([entry("x".repeat(513))]),
  "entries that are null": { version: 5, entries: null },
  "no entries at all": { version: 9, anything: [1, null, { entries: [] }] },
  "a list": [1, 2, 3],
  "half a surrogate where no entries are": ["\ud83d"],
  "a head of more than a megabyte": session([entry("a"), entry("b")], { metadata: { large: "é\u{1f600}".repeat(300_000) } }),
  "what is a text in parts elsewhere": { $json: null },
  "what is a wrapper elsewhere": { $json: "1" },
  "a null character": session([entry("nul", "\u0000 \u2028")]),
};

test.each(Object.entries(KEPT))("comes back equal: %s", async (_, data) => {
  const [writer, reader] = twoWriters();
  await writer.save("key/with \"quotes\" [1]", data);
  expect(await reader.load("key/with \"quotes\" [1]")).toEqual(data);
  expect(await writer.load("key/with \"quotes\" [1]")).toEqual(data);
});

test("each kind of session takes the place of each other", async () => {
  const [writer, reader] = twoWriters();
  for (const data of [...Object.values(KEPT), ...Object.values(KEPT).reverse()]) {
    await writer.save("s", data);
    expect(await reader.load("s")).toEqual(data);
  }
});

test.each(Object.entries(KEPT))("goes from one user to another as a row: %s", async (_, data) => {
  const [one, other] = [0, 1].map(() => `flue-rows-${randomUUID()}`);
  const rows = ["journals", "flue.sessions", "rows"];
  const moved = async (from, to) => {
    const { body } = await new Client({ user: from }).send("GET", rows);
    const headers = { "content-type": "application/x-ndjson" };
    const report = await new Client({ user: to }).send("POST", rows, { bytes: new Uint8Array(body), headers });
    expect(report.body).toMatchObject({ kept: 1, skipped: [] });
    return JSON.parse(JSON.parse(new TextDecoder().decode(body)).data);
  };
  await adapter({ user: one }).connect().sessions.save("s", data);
  expect(await moved(one, other)).toEqual(data);
  const { sessions } = adapter({ user: other }).connect();
  expect(await sessions.load("s")).toEqual(data);
  const after = session([entry("after")], { metadata: { n: 1 } });
  await sessions.save("s", after);
  expect(await adapter({ user: other }).connect().sessions.load("s")).toEqual(after);
});

const EDITS = {
  "the last one replaced": (entries) => [...entries.slice(0, -1), entry("other")],
  "one removed in the middle": (entries) => entries.filter((each) => each.id !== "b"),
  "one edited": (entries) => entries.map((each) => (each.id === "b" ? entry("b", "edited") : each)),
  "two swapped": ([a, b, c]) => [b, a, c],
  "all removed": () => [],
  "one in front": (entries) => [entry("first"), ...entries],
  nothing: (entries) => entries,
};

test.each(Object.entries(EDITS))("is kept, with or without a look before: %s", async (_, edit) => {
  const [writer, other] = twoWriters();
  const before = session([entry("a"), entry("b"), entry("c")]);
  const after = session(edit(before.entries), { updatedAt: "2026-06-04T00:00:00.000Z" });
  await writer.save("s", before);
  await writer.save("s", after);
  expect(await other.load("s")).toEqual(after);
  await other.save("s", before);
  expect(await writer.load("s")).toEqual(before);
});

test("the last of two writers wins, whole", async () => {
  const [one, other] = twoWriters();
  await one.save("s", session([entry("a")]));
  await other.load("s");
  await one.save("s", session([entry("a"), entry("of one")]));
  await other.save("s", session([entry("a"), entry("of the other"), entry("more")]));
  expect((await one.load("s")).entries.map((each) => each.id)).toEqual(["a", "of the other", "more"]);
});

test("with conflict: error the second of two writers is told, and can go on after a load", async () => {
  const [one, other] = twoWriters({ conflict: "error" });
  await one.save("s", session([entry("a")]));
  await expect(other.save("s", session([entry("b")]))).rejects.toThrow("was saved by another writer since");
  await other.load("s");
  await other.save("s", session([entry("a"), entry("b")]));
  await expect(one.save("s", session([entry("a"), entry("c")]))).rejects.toMatchObject({ name: "SessionConflict" });
  await expect(one.saveDelta("s", { newEntries: [entry("c")] })).rejects.toMatchObject({ reason: "stale" });
  const { entries } = await one.load("s");
  await one.saveDelta("s", { leafId: "c", newEntries: [entry("c")] });
  await one.saveDelta("s", { leafId: "d", newEntries: [entry("d")] });
  expect((await other.load("s")).entries).toEqual([...entries, entry("c"), entry("d")]);
});

test("writes of one process follow each other", async () => {
  const [writer, reader] = twoWriters();
  const entries = Array.from({ length: 20 }, (_, n) => entry(`entry-${n}`));
  await Promise.all(entries.map((_, n) => writer.save("s", session(entries.slice(0, n + 1)))));
  expect(await reader.load("s")).toEqual(session(entries));
});

test("two processes that save at once leave one of the two, whole", async () => {
  const [one, other] = twoWriters();
  const states = [0, 1].map((writer) => session(Array.from({ length: 5 }, (_, n) => entry(`${writer}-${n}`))));
  await Promise.all([one, other].map((each, n) => each.save("s", states[n])));
  expect(states).toContainEqual(await one.load("s"));
});

test("a deleted session is gone, and its key is free", async () => {
  const [writer, other] = twoWriters();
  await writer.save("s", session([entry("a")]));
  await other.delete("s");
  expect(await writer.load("s")).toBeNull();
  await writer.save("s", session([entry("b")]));
  await other.delete("s");
  await other.delete("s");
  await writer.save("s", session([entry("c")]));
  expect(await other.load("s")).toEqual(session([entry("c")]));
});

// Deltas.

const header = (leafId, more = {}) => ({ version: 5, createdAt: TIME, updatedAt: TIME, metadata: {}, leafId, ...more });

test("a delta adds and removes, and keeps what it does not name", async () => {
  const [writer, reader] = twoWriters();
  await writer.save("s", session([entry("a"), entry("failed")]));
  const delta = { ...header("retry"), newEntries: [entry("compaction"), entry("retry")], removedEntryIds: ["failed"] };
  await writer.saveDelta("s", delta);
  const wanted = session([entry("a"), entry("compaction"), entry("retry")]);
  expect(await reader.load("s")).toEqual(wanted);
  await writer.saveDelta("s", delta);
  expect(await reader.load("s")).toEqual(wanted);
  await writer.saveDelta("s", { ...header("retry", { metadata: { title: "t" } }) });
  expect(await reader.load("s")).toEqual({ ...wanted, metadata: { title: "t" } });
});

test("an entry that was removed may come back, at the end", async () => {
  const [writer, reader] = twoWriters();
  await writer.save("s", session([entry("a"), entry("b")]));
  await writer.saveDelta("s", { ...header("b"), removedEntryIds: ["a"] });
  await writer.saveDelta("s", { ...header("a"), newEntries: [entry("a", "again")] });
  expect((await reader.load("s")).entries).toEqual([entry("b"), entry("a", "again")]);
  await writer.saveDelta("s", { ...header(null), removedEntryIds: ["a", "b"] });
  expect(await reader.load("s")).toEqual(session([]));
});

test("what two writers of deltas add stays, and the head is that of the last", async () => {
  const [one, other] = twoWriters();
  await one.save("s", session([entry("a")]));
  await other.load("s");
  await one.saveDelta("s", { ...header("b"), newEntries: [entry("b")] });
  await other.saveDelta("s", { ...header("c"), newEntries: [entry("c")] });
  await one.saveDelta("s", { ...header("d"), newEntries: [entry("d")] });
  expect(await other.load("s")).toEqual(session(["a", "b", "c", "d"].map((id) => entry(id))));
  await one.save("s", session([entry("a"), entry("d")]));
  expect(await other.load("s")).toEqual(session([entry("a"), entry("d")]));
});

test("a delta of a session that is one text, or becomes one, is kept as well", async () => {
  const [writer, reader] = twoWriters();
  await writer.save("s", session([entry("a"), entry("failed")]));
  const cut = header("b", { metadata: { title: "\ude00" } });
  await writer.saveDelta("s", { ...cut, newEntries: [entry("b")], removedEntryIds: ["failed"] });
  expect(await reader.load("s")).toEqual({ ...session([entry("a"), entry("b")]), ...cut });
  await reader.saveDelta("s", { ...header("c"), newEntries: [entry("c", "\ud83d")], removedEntryIds: ["a"] });
  expect(await writer.load("s")).toEqual(session([entry("b"), entry("c", "\ud83d")]));
});

test("a first delta makes the session", async () => {
  const [writer, reader] = twoWriters();
  await writer.saveDelta("s", { ...header("a"), newEntries: [entry("a")] });
  expect(await reader.load("s")).toEqual({ ...header("a"), entries: [entry("a")] });
});

test("60 turns send what is new, and not the whole session each time", async () => {
  const sent = counting();
  const { sessions } = adapter({ fetch: sent }).connect();
  const entries = [];
  let whole = 0;
  await sessions.save("s", session([]));
  sent.requests = 0;
  for (let turn = 0; turn < 60; turn += 1) {
    entries.push(entry(`entry-${turn}`, "x".repeat(1_000)));
    await sessions.save("s", session(entries));
    whole += JSON.stringify(session(entries)).length;
  }
  expect(sent.requests).toBe(60);
  expect(sent.characters * 15).toBeLessThan(whole);
  expect(await sessions.load("s")).toEqual(session(entries));
});

test("nothing is lost or doubled where every third answer is lost", async () => {
  const fetch = losing();
  const { sessions } = adapter({ fetch }).connect();
  const entries = [];
  for (let turn = 0; turn < 12; turn += 1) {
    entries.push(entry(`entry-${turn}`));
    if (turn % 2) await sessions.save("s", session(entries));
    else await sessions.saveDelta("s", { ...session([]), leafId: `entry-${turn}`, entries: undefined, newEntries: [entries.at(-1)] });
  }
  expect(await sessions.load("s")).toEqual(session(entries));
  expect(fetch.lost).toBeGreaterThan(4);
});
