/** The conversation streams of Flue 2: journals in which each entry is a batch of records. */

import { Client, ThreadkeepError } from "./client.js";
import { textOf, unwrapped, wrapped } from "./json.js";
import { QUEUE } from "./submissions.js";

const STREAMS = "flue.streams";
const FOLDS = "flue.folds";
/** What Flue's own stores take. */
const BATCH_CHARACTERS_MAX = 12_582_912;
/** Why an append was refused, in Flue's words. @type {Record<string, string>} */
const REASONS = {
  fenced: "Producer ownership is stale.",
  conflict: "Producer sequence has conflicting content.",
  gap: "Producer sequence is not the next expected value.",
  unauthorized: "Submission attempt no longer owns work for this agent instance.",
};

/** @typedef {import("./submissions.js").Flue} Flue */
/** @typedef {import("@flue/runtime/adapter").ConversationRecord} ConversationRecord */
/** @typedef {import("@flue/runtime/adapter").ConversationStreamStore} ConversationStreamStore */

/** @implements {ConversationStreamStore} */
export class Streams {
  #client;
  #flue;
  #listeners;

  /**
   * @param {Client} client
   * @param {Flue} flue
   */
  constructor(client, flue) {
    this.#client = client;
    this.#flue = flue;
    this.#listeners = new flue.StreamListenerRegistry();
  }

  /** @type {ConversationStreamStore["createStream"]} */
  async createStream(path, identity) {
    const { createSessionStorageKey, SUBMISSION_HARNESS_NAME, SUBMISSION_SESSION_NAME } = this.#flue;
    const { agentName, instanceId } = identity;
    // Whoever appends for a submission has to be at work on one of this agent and instance.
    const lane = createSessionStorageKey(agentName, instanceId, SUBMISSION_HARNESS_NAME, SUBMISSION_SESSION_NAME);
    const json = { mode: "create", head: wrapped(identity), identity: wrapped(identity), lane, kind: agentName };
    try {
      await this.#client.send("PUT", ["journals", STREAMS, path], { json });
    } catch (error) {
      throw this.#translated(error, path, "create", { conflict: "Stream identity conflicts." });
    }
  }

  /** @type {ConversationStreamStore["acquireProducer"]} */
  async acquireProducer(path, producerId) {
    const json = { producer: producerId };
    try {
      const { body } = await this.#client.send("POST", ["journals", STREAMS, path, "producer"], { json });
      return {
        producerId,
        producerEpoch: body.epoch,
        incarnation: body.incarnation,
        nextProducerSequence: body.nextProducerSeq,
        offset: this.#flue.formatOffset(body.nextSeq - 1),
      };
    } catch (error) {
      throw this.#translated(error, path, "acquire_producer");
    }
  }

  /** @type {ConversationStreamStore["append"]} */
  async append({ path, producerId, producerEpoch, incarnation, producerSequence, submission, records }) {
    if (records.length === 0) throw this.#failure(path, "append", "A canonical batch cannot be empty.");
    const text = textOf(records);
    if (text.length > BATCH_CHARACTERS_MAX) throw this.#failure(path, "append", tooLarge(text, records));
    const json = {
      producer: { id: producerId, epoch: producerEpoch, incarnation, seq: producerSequence },
      guard: this.#guard(path, submission, records),
      entries: [{ data: wrapped(records, text) }],
    };
    try {
      const { body } = await this.#client.send("POST", ["journals", STREAMS, path, "entries"], { json });
      this.#listeners.notify(path);
      return { offset: this.#flue.formatOffset(body.first) };
    } catch (error) {
      throw this.#translated(error, path, "append", { too_large: tooLarge(text, records) });
    }
  }

  /**
   * What has to be true of submissions for these records to be appended, which is checked where they are kept.
   *
   * @param {string} path
   * @param {{submissionId: string, attemptId: string} | undefined} submission
   * @param {readonly ConversationRecord[]} records
   */
  #guard(path, submission, records) {
    const owned = records.filter((record) => record.submissionId !== undefined || record.attemptId !== undefined);
    if (!submission) {
      if (owned.length === 0) return undefined;
      throw this.#failure(path, "append", "Submission-owned records require attempt authorization.");
    }
    const { submissionId, attemptId } = submission;
    if (owned.some((record) => record.attemptId !== attemptId || record.submissionId === undefined)) {
      throw this.#failure(path, "append", "Record ownership does not match the authorized submission attempt.");
    }
    const joined = new Set(owned.map((record) => record.submissionId).filter((id) => id !== submissionId));
    const [only] = records.length === 1 ? owned : [];
    const settlement = only?.type === "submission_settled" ? { settlementId: only.id, settlement: wrapped(only) } : {};
    return { queue: QUEUE, task: submissionId, attempt: attemptId, joined: [...joined], ...settlement };
  }

  /** @type {ConversationStreamStore["read"]} */
  async read(path, { offset = "-1", limit } = {}) {
    const { clampLimit, DEFAULT_READ_LIMIT, formatOffset, MAX_READ_LIMIT, parseOffset } = this.#flue;
    if (offset === "now") {
      const meta = await this.getMeta(path);
      return { batches: [], nextOffset: meta?.nextOffset ?? "-1", upToDate: true };
    }
    const after = parseOffset(offset);
    const query = {
      after: after < 0 ? undefined : after,
      limit: clampLimit(limit, DEFAULT_READ_LIMIT, MAX_READ_LIMIT),
    };
    const isOffset = Number.isSafeInteger(after);
    const read = ["journals", STREAMS, path, "entries"];
    const { status, body } = await this.#client.send("GET", read, { query: isOffset ? query : { limit: 1 }, optional: true });
    if (status === 404) return { batches: [], nextOffset: "-1", upToDate: true };
    if (!isOffset || after > body.journal.nextSeq - 1) {
      throw this.#failure(path, "read", "Read offset is beyond the canonical stream head.");
    }
    const batches = body.entries.map((/** @type {any} */ entry) => ({
      offset: formatOffset(entry.seq),
      records: unwrapped(entry.data),
    }));
    return { batches, nextOffset: batches.at(-1)?.offset ?? formatOffset(after), upToDate: !body.more };
  }

  /** @type {ConversationStreamStore["getMeta"]} */
  async getMeta(path) {
    const { status, body } = await this.#client.send("GET", ["journals", STREAMS, path], { optional: true });
    if (status === 404) return null;
    return {
      identity: unwrapped(body.head),
      incarnation: body.incarnation,
      nextOffset: this.#flue.formatOffset(body.nextSeq - 1),
      producerId: body.producer,
      producerEpoch: body.epoch,
      nextProducerSequence: body.nextProducerSeq,
    };
  }

  /** @type {ConversationStreamStore["subscribe"]} */
  subscribe(path, listener) {
    return this.#listeners.subscribe(path, listener);
  }

  /** @type {NonNullable<ConversationStreamStore["putFoldCheckpoint"]>} */
  async putFoldCheckpoint(path, { offset, incarnation, formatVersion, data }) {
    const entries = [{ data: wrapped(data) }];
    const json = { create: true, cut: 0, head: { offset, incarnation, formatVersion }, entries };
    await this.#client.send("POST", ["journals", FOLDS, path, "entries"], { json });
  }

  /** @type {NonNullable<ConversationStreamStore["getFoldCheckpoint"]>} */
  async getFoldCheckpoint(path, { atOrBefore } = {}) {
    const query = { newest: true, limit: 1, head: true };
    const { status, body } = await this.#client.send("GET", ["journals", FOLDS, path, "entries"], { query, optional: true });
    if (status === 404) return null;
    const { head } = body.journal;
    const { parseOffset } = this.#flue;
    if (atOrBefore !== undefined && parseOffset(head.offset) > parseOffset(atOrBefore)) return null;
    return { ...head, data: unwrapped(body.entries[0].data) };
  }

  /**
   * A refusal as Flue's own stores say it; any other error as it is.
   *
   * @param {unknown} error
   * @param {string} path
   * @param {string} operation
   * @param {Record<string, string>} [reasons]
   */
  #translated(error, path, operation, reasons = {}) {
    if (!(error instanceof ThreadkeepError)) return error;
    if (error.status === 404) return this.#failure(path, operation, "Stream does not exist.");
    const reason = error.reason ?? error.code;
    const words = reasons[reason] ?? REASONS[reason];
    return words === undefined ? error : this.#failure(path, operation, words);
  }

  /**
   * @param {string} path
   * @param {any} operation
   * @param {string} reason
   */
  #failure(path, operation, reason) {
    return new this.#flue.ConversationStreamStoreError({ operation, path, reason });
  }
}

/**
 * @param {string} text
 * @param {readonly ConversationRecord[]} records
 */
function tooLarge(text, records) {
  const sizes = records.map((record) => textOf(record).length);
  const largest = records[sizes.indexOf(Math.max(...sizes))];
  return (
    `The batch has ${text.length} characters, which is too large to be kept at once. The largest record is ` +
    `${largest?.id}, a ${largest?.type}. Cut what tools return before it is recorded.`
  );
}
