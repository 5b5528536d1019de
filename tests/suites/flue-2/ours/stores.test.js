// What Flue's own tests leave out: races, texts that were cut, sizes, leases, and other versions of Flue.

import { randomUUID } from "node:crypto";
import {
  ConversationStreamStoreError,
  createAttachmentRef,
  InMemoryConversationStreamStore,
  PersistedFormatVersionError,
} from "@flue/runtime/adapter";
import { Client } from "threadkeep/client";
import { threadkeep } from "threadkeep/flue";
import { expect, test } from "vitest";
import { stores } from "../store.js";

const IDENTITY = { agentName: "echo", instanceId: "contract" };
const PATH = "agents/echo/contract";
const LANE = 'agent-session:["echo","contract","default","default"]';

const dispatch = (submissionId, more = {}) => ({
  submissionId,
  agent: "echo",
  id: "contract",
  message: { kind: "signal", type: "test.event", body: "Hello" },
  acceptedAt: "2026-06-03T00:00:00.000Z",
  ...more,
});
const record = (id, text = id) => ({
  v: 1,
  id,
  type: "user_message",
  conversationId: "conversation",
  harness: "default",
  session: "default",
  timestamp: "2026-06-25T00:00:00.000Z",
  messageId: id,
  parentId: null,
  content: [{ type: "text", text }],
});
const claim = (submissionId, attemptId) => ({
  submissionId,
  attemptId,
  ownerId: `owner of ${attemptId}`,
  leaseExpiresAt: Date.now() + 30_000,
});

async function ready(submissionStore, ...ids) {
  for (const id of ids) {
    await submissionStore.admitDispatch(dispatch(id));
    await submissionStore.markSubmissionCanonicalReady(id);
  }
}

/** Appends as one producer, one batch after the other. */
async function producer(store, id) {
  const { producerId, producerEpoch, incarnation } = await store.acquireProducer(PATH, id);
  let producerSequence = 0;
  const batch = (records) => ({ path: PATH, producerId, producerEpoch, incarnation, producerSequence, records });
  return {
    batch,
    async append(records, submission) {
      const appended = await store.append({ ...batch(records), submission });
      producerSequence += 1;
      return appended;
    },
  };
}

// Races.

test("of 32 claims of one submission one wins", async () => {
  const { submissionStore } = await stores();
  await ready(submissionStore, "one");
  const attempts = Array.from({ length: 32 }, (_, number) => claim("one", `attempt-${number}`));
  const claimed = (await Promise.all(attempts.map((each) => submissionStore.claimSubmission(each)))).filter(Boolean);
  expect(claimed).toHaveLength(1);
  expect(await submissionStore.getSubmission("one")).toEqual(claimed[0]);
});

test("of 20 admissions at once one is kept, and the others are that one", async () => {
  const { submissionStore } = await stores();
  const admitted = await Promise.all(Array.from({ length: 20 }, () => submissionStore.admitDispatch(dispatch("one"))));
  expect(new Set(admitted.map((each) => JSON.stringify(each))).size).toBe(1);
  expect(await submissionStore.listUnreadySubmissions()).toEqual([admitted[0].submission]);
});

test("a submission is taken over by one of many once its lease has ended", async () => {
  const { submissionStore } = await stores();
  await ready(submissionStore, "one");
  await submissionStore.claimSubmission({ ...claim("one", "first"), leaseExpiresAt: 1 });
  expect((await submissionStore.listExpiredSubmissions()).map((each) => each.attemptId)).toEqual(["first"]);
  const lease = { ownerId: "another", leaseExpiresAt: Date.now() + 30_000 };
  const others = Array.from({ length: 8 }, (_, number) =>
    submissionStore.replaceSubmissionAttempt({ submissionId: "one", attemptId: "first" }, `next-${number}`, lease),
  );
  expect((await Promise.all(others)).filter(Boolean)).toHaveLength(1);
  expect(await submissionStore.completeSubmission({ submissionId: "one", attemptId: "first" })).toBe(false);
});

test("two producers in turn leave no gap and nothing twice, though each sends everything twice", async () => {
  const { conversationStreamStore } = await stores();
  await conversationStreamStore.createStream(PATH, IDENTITY);
  const kept = [];
  for (const name of ["first", "second"]) {
    const current = await producer(conversationStreamStore, name);
    for (let number = 0; number < 16; number += 1) {
      const batch = current.batch([record(`${name}-${number}`)]);
      const [one, other] = await Promise.all([conversationStreamStore.append(batch), current.append(batch.records)]);
      expect(one).toEqual(other);
      kept.push(one.offset);
    }
  }
  const { batches } = await conversationStreamStore.read(PATH);
  expect(batches.map((batch) => batch.offset)).toEqual(kept);
  expect(new Set(batches.flatMap((batch) => batch.records.map((each) => each.id))).size).toBe(32);
});

test("a producer that was replaced is told so, in Flue's words", async () => {
  const { conversationStreamStore } = await stores();
  await conversationStreamStore.createStream(PATH, IDENTITY);
  const before = await producer(conversationStreamStore, "one");
  await producer(conversationStreamStore, "one");
  const refused = before.append([record("late")]);
  await expect(refused).rejects.toBeInstanceOf(ConversationStreamStoreError);
  await expect(refused).rejects.toMatchObject({ meta: { reason: "Producer ownership is stale.", path: PATH } });
});

// Texts, and sizes.

/** A text as an error may have it. */
const readable = (text) => text.toWellFormed().replaceAll("\0", "\ufffd");
const TEXTS = ["\ud83d", "a \\ud83d that is none", "\u0000\u2028", "\u{1f600}", "\\", '{"$json":"1"}'];

test("texts come back to the letter, in submissions, settlements, records and checkpoints", async () => {
  const { submissionStore, conversationStreamStore } = await stores();
  await conversationStreamStore.createStream(PATH, IDENTITY);
  const current = await producer(conversationStreamStore, "one");
  for (const [number, text] of TEXTS.entries()) {
    const input = dispatch(`text-${number}`, { message: { kind: "signal", type: "test.event", body: text } });
    await submissionStore.admitDispatch(input);
    const attempt = { submissionId: input.submissionId, attemptId: "attempt" };
    await submissionStore.markSubmissionCanonicalReady(input.submissionId);
    const claimed = await submissionStore.claimSubmission(claim(input.submissionId, "attempt"));
    expect(claimed?.input.message).toEqual(input.message);
    await current.append([record(`record-${number}`, text), record(`other-${number}`)]);
    await conversationStreamStore.putFoldCheckpoint(PATH, { offset: "-1", incarnation: "i", formatVersion: 3, data: text });
    expect((await conversationStreamStore.getFoldCheckpoint(PATH)).data).toBe(text);
    const settled = {
      ...record(`settled-${number}`),
      ...attempt,
      type: "submission_settled",
      outcome: "failed",
      error: { message: text },
    };
    const settlement = { recordId: settled.id, record: settled };
    const reserved = await submissionStore.reserveSubmissionSettlement(attempt, settlement);
    expect(reserved?.record).toEqual(settled);
    expect(await submissionStore.reserveSubmissionSettlement(attempt, settlement)).toEqual(reserved);
    const [pending] = await submissionStore.listPendingSubmissionSettlements();
    expect(pending).toEqual(reserved);
    await current.append([pending.record], attempt);
    await submissionStore.finalizeSubmissionSettlement(attempt, settled.id);
    expect((await submissionStore.getSubmission(input.submissionId))?.error).toBe(readable(text));
  }
  const kept = (await conversationStreamStore.read(PATH)).batches.flatMap((batch) => batch.records);
  expect(kept.filter((each) => each.content[0].text !== each.id).map((each) => each.content[0].text)).toEqual(TEXTS);
});

test("a conversation is read in pages of a megabyte, and in the end it is whole", async () => {
  const { conversationStreamStore } = await stores();
  await conversationStreamStore.createStream(PATH, IDENTITY);
  const current = await producer(conversationStreamStore, "one");
  for (let number = 0; number < 12; number += 1) await current.append([record(`${number}`, "x".repeat(400_000))]);
  const found = [];
  let pages = 0;
  for (let offset = "-1", isWhole = false; !isWhole; pages += 1) {
    const page = await conversationStreamStore.read(PATH, { offset, limit: 1_000 });
    found.push(...page.batches.flatMap((batch) => batch.records.map((each) => each.id)));
    [offset, isWhole] = [page.nextOffset, page.upToDate];
  }
  expect(found).toEqual(Array.from({ length: 12 }, (_, number) => `${number}`));
  expect(pages).toBeGreaterThan(3);
});

test("a batch that is too large is refused in Flue's words, and what comes after it is appended", async () => {
  const { conversationStreamStore } = await stores();
  await conversationStreamStore.createStream(PATH, IDENTITY);
  const current = await producer(conversationStreamStore, "one");
  for (const size of [8_500_000, 12_600_000]) {
    const refused = current.append([record("huge", "x".repeat(size)), record("small")]);
    await expect(refused).rejects.toBeInstanceOf(ConversationStreamStoreError);
    await expect(refused).rejects.toMatchObject({ meta: { reason: expect.stringContaining("The largest record is huge") } });
  }
  await current.append([record("small")]);
  expect((await conversationStreamStore.read(PATH)).batches).toHaveLength(1);
});

test("an attachment keeps its media type and comes back, whatever its names are", async () => {
  const { attachmentStore } = await stores();
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 256);
  const place = { streamPath: "agents/ä/☃ 1", conversationId: 'conversation "☃"' };
  const attachment = await createAttachmentRef({ id: "an/id ☃", mimeType: "image/x-☃", bytes });
  await attachmentStore.put({ ...place, attachment, bytes });
  const found = await attachmentStore.get({ ...place, attachmentId: attachment.id });
  expect(found?.attachment).toEqual(attachment);
  expect(Buffer.compare(found.bytes, bytes)).toBe(0);
});

// Reading a stream, compared with Flue's own store.

test("every way to read a stream has the same outcome as in Flue's own store", async () => {
  const { conversationStreamStore } = await stores();
  const pair = [conversationStreamStore, new InMemoryConversationStreamStore()];
  const outcomes = [];
  for (const store of pair) {
    const found = [];
    const seen = async (call) => found.push(await call().catch((error) => error.meta?.reason ?? error.message));
    const read = (offset, limit) => seen(() => store.read(PATH, { offset, limit }));
    await seen(() => store.getMeta(PATH).then((meta) => meta === null));
    await read("-1");
    await read("now");
    await store.createStream(PATH, IDENTITY);
    await read("-1");
    await read("now");
    const current = await producer(store, "one");
    for (let number = 0; number < 5; number += 1) await current.append([record(`${number}`)]);
    const offset = (number) => `0000000000000000_${String(number).padStart(16, "0")}`;
    for (const limit of [undefined, 0, 1, 2, 5, 100_000]) {
      for (const after of ["-1", "now", offset(0), offset(3), offset(4), offset(5), offset(10 ** 15), "nonsense", "1_"]) {
        await read(after, limit);
      }
    }
    let heard = 0;
    const stop = store.subscribe(PATH, () => (heard += 1));
    await current.append([record("5")]);
    stop();
    await current.append([record("6")]);
    found.push(heard);
    outcomes.push(found);
  }
  expect(outcomes[0]).toEqual(outcomes[1]);
});

// Versions and leases.

test("what another version of Flue has written is not read", async () => {
  const user = `flue-format-${randomUUID()}`;
  const place = ["journals", "flue.meta", "format_version"];
  await new Client({ user }).send("PUT", place, { json: { mode: "create", head: { version: "2" }, identity: "2" } });
  const adapter = threadkeep({ user });
  await expect(adapter.migrate()).rejects.toBeInstanceOf(PersistedFormatVersionError);
  await expect(adapter.connect()).rejects.toBeInstanceOf(PersistedFormatVersionError);
  const fresh = threadkeep({ user: `flue-format-${randomUUID()}` });
  await fresh.migrate();
  await fresh.migrate();
  await fresh.connect();
});

test("a shorter lease is one that ends sooner, and may not be too short", async () => {
  const { submissionStore } = await stores({ leaseMs: 11_000 });
  await ready(submissionStore, "one");
  const before = Date.now();
  const { leaseExpiresAt } = await submissionStore.claimSubmission(claim("one", "attempt"));
  expect(leaseExpiresAt - before).toBeLessThan(15_000);
  await submissionStore.renewLeases("owner of attempt", ["one", ...Array.from({ length: 2_000 }, (_, n) => `none-${n}`)]);
  const renewed = (await submissionStore.getSubmission("one")).leaseExpiresAt;
  expect(renewed).toBeGreaterThanOrEqual(leaseExpiresAt);
  expect(renewed - Date.now()).toBeLessThan(11_001);
  await expect(stores({ leaseMs: 10_000 })).rejects.toThrow("Flue renews leases every 10000 ms");
});

test("a message that Flue cannot read is ended, and those behind it run", async () => {
  const user = `flue-damaged-${randomUUID()}`;
  const { submissionStore } = await stores({ user });
  const json = { id: "damaged", lane: LANE, kind: "dispatch", target: "echo", payload: { no: "message" } };
  await new Client({ user }).send("POST", ["queues", "flue", "tasks"], { json });
  await ready(submissionStore, "whole");
  expect(await submissionStore.listRunnableSubmissions()).toEqual([]);
  expect((await submissionStore.listRunnableSubmissions()).map((each) => each.submissionId)).toEqual(["whole"]);
});
