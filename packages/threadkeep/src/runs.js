/**
 * The runs of Flue's workflows, with their events, and the registry by which they are listed.
 *
 * A run is a journal: its head says what it is and how it ended, and each event stands at the place of its index. What
 * a run is given and answers is kept as JSON in a text, since a merge patch would drop what is null in it.
 */

import {
  DEFAULT_LIST_LIMIT,
  decodeRunCursor,
  MAX_LIST_LIMIT,
  parsePersistedWorkflowEvent,
  serializedEventForPersistence,
} from "@flue/runtime/adapter";
import { Client, ThreadkeepError } from "./client.js";
import { textOf, unwrapped, wrapped } from "./json.js";
import { appendAt, entriesOf, keep, valueOf } from "./values.js";

const RUNS = "flue.runs";
const REGISTRY = "flue.registry";
const PAGE = 1_000;

/** @typedef {import("@flue/runtime/adapter").RunStore} RunStore */
/** @typedef {import("@flue/runtime/adapter").RunRegistry} RunRegistry */
/** @typedef {import("@flue/runtime/adapter").RunPointer} RunPointer */

/** @implements {RunStore} */
export class Runs {
  #client;

  /** @param {Client} client */
  constructor(client) {
    this.#client = client;
  }

  /** @type {RunStore["createRun"]} */
  async createRun({ runId, owner, startedAt, payload }) {
    checkOwner(runId, owner);
    const kept = await keep(this.#client, [runId, "payload"], payload);
    const head = { runId, owner, startedAt, payload: kept };
    const labels = { kind: owner.workflowName, status: "active", sort: startedAt };
    await this.#client.send("PUT", ["journals", RUNS, runId], { json: { mode: "replace", head, ...labels } });
  }

  /** @type {RunStore["endRun"]} */
  async endRun({ runId, endedAt, isError, durationMs, result, error }) {
    const head = {
      endedAt,
      isError,
      durationMs,
      // In a merge patch, null removes what an earlier end may have left.
      result: (await keep(this.#client, [runId, "result"], result)) ?? null,
      error: (await keep(this.#client, [runId, "error"], error)) ?? null,
    };
    const json = { head, status: statusOf(isError) };
    await this.#client.send("PATCH", ["journals", RUNS, runId], { json, optional: true });
  }

  /** @type {RunStore["appendEvent"]} */
  async appendEvent(runId, event) {
    const text = serializedEventForPersistence(runId, event);
    const entry = { at: /** @type {number} */ (event.eventIndex), data: wrapped(event, text) };
    const isFree = await appendAt(this.#client, RUNS, runId, entry);
    if (isFree === false) throw new Error("[flue:run-store] duplicate persisted workflow event index.");
  }

  /** @type {RunStore["getEvents"]} */
  async getEvents(runId, fromIndex = 0) {
    const rows = await entriesOf(this.#client, RUNS, runId, Math.ceil(fromIndex) - 1);
    return rows.map((row) => parsePersistedWorkflowEvent(runId, textOf(unwrapped(row.data)), row.seq));
  }

  /** @type {RunStore["getRun"]} */
  async getRun(runId) {
    const answer = await this.#client.send("GET", ["journals", RUNS, runId], { optional: true });
    if (answer.status === 404) return null;
    const { payload, result, error, ...run } = answer.body.head;
    /** @type {any} */
    const found = { ...run, status: answer.body.status };
    for (const [name, kept] of Object.entries({ payload, result, error })) {
      if (kept !== undefined) found[name] = await valueOf(this.#client, [runId, name], kept);
    }
    return found;
  }
}

/** @implements {RunRegistry} */
export class Registry {
  #client;

  /** @param {Client} client */
  constructor(client) {
    this.#client = client;
  }

  /** @type {RunRegistry["recordRunStart"]} */
  async recordRunStart({ runId, owner, startedAt }) {
    checkOwner(runId, owner);
    const labels = { kind: owner.workflowName, status: "active", sort: startedAt };
    const json = { mode: "create", head: { runId, owner, startedAt }, ...labels };
    await this.#client.send("PUT", ["journals", REGISTRY, runId], { json }).catch((error) => {
      if (!(error instanceof ThreadkeepError && error.reason === "conflict")) throw error; // the first start wins
    });
  }

  /** @type {RunRegistry["recordRunEnd"]} */
  async recordRunEnd({ runId, endedAt, durationMs, isError }) {
    const json = { head: { endedAt, durationMs, isError }, status: statusOf(isError) };
    await this.#client.send("PATCH", ["journals", REGISTRY, runId], { json, optional: true });
  }

  /** @type {RunRegistry["lookupRun"]} */
  async lookupRun(runId) {
    const answer = await this.#client.send("GET", ["journals", REGISTRY, runId], { optional: true });
    return answer.status === 404 ? null : pointerOf(answer.body);
  }

  /** @type {RunRegistry["listRuns"]} */
  async listRuns({ status, workflowName, limit, cursor } = {}) {
    const most = limit && Number.isFinite(limit) && limit > 0 ? Math.min(limit, MAX_LIST_LIMIT) : DEFAULT_LIST_LIMIT;
    const after = decodeRunCursor(cursor);
    /** @type {RunPointer[]} */
    const runs = [];
    let page = after && pageOf(cursor);
    for (;;) {
      const query = { status, limit: Math.min(most + 1, PAGE), cursor: page };
      const { body } = await this.#client.send("GET", ["journals", REGISTRY], { query });
      for (const pointer of body.journals.map(pointerOf)) {
        const isWanted = (!workflowName || pointer.owner.workflowName === workflowName) && (!after || isAfter(pointer, after));
        if (isWanted && runs.length === most) return { runs, nextCursor: cursorAfter(runs.at(-1), page) };
        if (isWanted) runs.push(pointer);
      }
      if (body.nextCursor === null) return { runs };
      page = body.nextCursor;
    }
  }
}

/**
 * @param {string} runId
 * @param {{instanceId: string}} owner
 */
function checkOwner(runId, owner) {
  if (owner.instanceId !== runId) {
    throw new Error("[flue] The owner of a workflow's run must have the runId of that run as its instanceId.");
  }
}

/** @param {boolean} isError */
function statusOf(isError) {
  return isError ? "errored" : "completed";
}

/**
 * @param {any} journal
 * @returns {RunPointer}
 */
function pointerOf({ head, status }) {
  return { ...head, status };
}

/**
 * The cursor of Flue's own registries, and with it the page on which its run was found.
 *
 * @param {RunPointer | undefined} pointer
 * @param {string | undefined} page
 */
function cursorAfter(pointer, page) {
  const text = JSON.stringify({ s: pointer?.startedAt, r: pointer?.runId, p: page });
  // Flue reads a cursor by `atob`, which makes a character of each byte: so no other characters may be in it.
  const plain = text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * @param {string | undefined} cursor One that `cursorAfter` has made.
 * @returns {string | undefined}
 */
function pageOf(cursor = "") {
  return JSON.parse(atob(cursor.replaceAll("-", "+").replaceAll("_", "/"))).p;
}

/**
 * @param {RunPointer} pointer
 * @param {{startedAt: string, runId: string}} cursor
 */
function isAfter(pointer, { startedAt, runId }) {
  return pointer.startedAt < startedAt || (pointer.startedAt === startedAt && pointer.runId < runId);
}
