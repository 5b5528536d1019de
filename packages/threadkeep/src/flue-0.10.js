/**
 * What `db.ts` of a Flue 0.10 project exports: sessions, submissions and runs in Threadkeep.
 *
 *     import { threadkeep } from "threadkeep/flue-0.10";
 *     export default threadkeep();
 */

import {
  createDispatchAgentSubmissionInput,
  createSessionStorageKey,
  deduplicateSessionDeletion,
  DURABILITY_DEFAULT_MAX_RETRY,
  DURABILITY_DEFAULT_TIMEOUT_MINUTES,
  isSubmissionPayload,
  LEASE_DURATION_MS,
  parseAcceptedAt,
  SUBMISSION_HARNESS_NAME,
} from "@flue/runtime/adapter";
import { Client, ThreadkeepError } from "./client.js";
import { unwrapped, wrapped } from "./json.js";
import { checkedLease, known, messageOf, Queue, readable } from "./queue.js";
import { Registry, Runs } from "./runs.js";
import { Sessions } from "./sessions.js";
import { appendAt, entriesOf, keep, valueOf } from "./values.js";

/** Flue 2 has a queue of its own: it could not read what is in this one. */
const QUEUE = "flue-0.10";
const CHUNKS = "flue.chunks";

/** @typedef {import("@flue/runtime/adapter").AgentSubmission} AgentSubmission */
/** @typedef {import("@flue/runtime/adapter").AgentSubmissionStore} AgentSubmissionStore */
/** @typedef {import("@flue/runtime/adapter").PersistenceAdapter} PersistenceAdapter */
/** @typedef {import("../types/flue-0.10.js").Options} Options */

/**
 * A persistence adapter. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and `THREADKEEP_USER` say.
 *
 * @param {Options} [options]
 * @returns {PersistenceAdapter}
 */
export function threadkeep(options = {}) {
  const client = new Client(options);
  return {
    async migrate() {
      // There is nothing to set up; a service that is not there should fail now, and not in the first turn.
      await client.send("GET", ["queues", QUEUE]);
    },
    connect: () => ({ sessions: new Sessions(client, options), submissions: new Submissions(client, options) }),
    connectRunStore: () => new Runs(client),
    connectRunRegistry: () => new Registry(client),
  };
}

/** @implements {AgentSubmissionStore} */
class Submissions {
  #client;
  #queue;
  #leaseMs;
  /** @type {Map<string, Promise<void>>} */
  #deletions = new Map();
  /** Lanes that are being closed: whatever is admitted from here waits for that. @type {Map<string, Promise<any>>} */
  #closing = new Map();

  /**
   * @param {Client} client
   * @param {{leaseMs?: number}} options
   */
  constructor(client, { leaseMs }) {
    this.#client = client;
    this.#queue = new Queue(client, QUEUE);
    this.#leaseMs = leaseMs === undefined ? Number.POSITIVE_INFINITY : checkedLease(leaseMs);
  }

  // Admission.

  /** @type {AgentSubmissionStore["admitDispatch"]} */
  async admitDispatch(input) {
    return this.#admit(createDispatchAgentSubmissionInput(input));
  }

  /** @type {AgentSubmissionStore["admitDirect"]} */
  async admitDirect(input) {
    const admission = await this.#admit(input);
    if (admission.kind === "submission") return admission.submission;
    throw new Error(`[flue] The submission ${input.submissionId} was admitted before with other content.`);
  }

  /**
   * @param {any} input
   * @returns {Promise<import("@flue/runtime/adapter").AgentDispatchAdmission>}
   */
  async #admit(input) {
    const lane = createSessionStorageKey(input.id, SUBMISSION_HARNESS_NAME, input.session);
    const task = {
      id: input.submissionId,
      lane,
      kind: input.kind,
      target: input.agent,
      payload: wrapped(input),
      acceptedAt: parseAcceptedAt(input.acceptedAt, `${input.kind} admission`),
      attemptsMax: DURABILITY_DEFAULT_MAX_RETRY,
    };
    await this.#closing.get(lane);
    const admission = await this.#queue.admit(task);
    switch (admission.kind) {
      case "task":
        return { kind: "submission", submission: submissionOf(admission.task) };
      case "receipt":
        return {
          kind: "retained_receipt",
          receipt: { submissionId: admission.task.id, acceptedAt: admission.task.acceptedAt },
        };
      case "conflict":
        return { kind: "conflict" };
      default:
        throw new Error(
          "[flue] Durable agent submission admission is unavailable while this session is being deleted. " +
            "Try again when it is deleted.",
        );
    }
  }

  // Reading.

  /** @type {AgentSubmissionStore["getSubmission"]} */
  async getSubmission(submissionId) {
    const task = await this.#queue.get(submissionId);
    return task && submissionOf(task);
  }

  /** @type {AgentSubmissionStore["hasUnsettledSubmissions"]} */
  hasUnsettledSubmissions() {
    return this.#queue.hasOpenTasks();
  }

  /** @type {AgentSubmissionStore["listRunnableSubmissions"]} */
  listRunnableSubmissions() {
    return this.#list("runnable");
  }

  /** @type {AgentSubmissionStore["listRunningSubmissions"]} */
  listRunningSubmissions() {
    return this.#list("running");
  }

  /** @type {AgentSubmissionStore["listExpiredSubmissions"]} */
  listExpiredSubmissions() {
    return this.#list("expired");
  }

  /** @param {string} view */
  async #list(view) {
    return readable(this.#queue, await this.#queue.list(view), submissionOf);
  }

  // The life of a submission.

  /** @type {AgentSubmissionStore["claimSubmission"]} */
  async claimSubmission({ submissionId, attemptId, ownerId, leaseExpiresAt }) {
    const { applied, task } = await this.#queue.change(submissionId, {
      do: "claim",
      attempt: attemptId,
      holder: ownerId,
      leaseUntil: this.#leaseUntil(leaseExpiresAt),
      restart: true,
      attemptsMax: DURABILITY_DEFAULT_MAX_RETRY,
      timeoutAt: defaultTimeoutAt(),
    });
    return applied ? submissionOf(task) : null;
  }

  /** @type {AgentSubmissionStore["markSubmissionInputApplied"]} */
  async markSubmissionInputApplied({ submissionId, attemptId }, durability) {
    return this.#applied(submissionId, {
      do: "applied",
      attempt: attemptId,
      attemptsMax: durability?.maxRetry ?? DURABILITY_DEFAULT_MAX_RETRY,
      timeoutAt: durability?.timeoutAt ?? defaultTimeoutAt(),
    });
  }

  /** @type {AgentSubmissionStore["requestSubmissionRecovery"]} */
  async requestSubmissionRecovery({ submissionId, attemptId }) {
    return this.#applied(submissionId, { do: "recover", attempt: attemptId });
  }

  /** @type {AgentSubmissionStore["requeueSubmissionBeforeInputApplied"]} */
  async requeueSubmissionBeforeInputApplied({ submissionId, attemptId }) {
    return this.#applied(submissionId, { do: "requeue", attempt: attemptId, unlessApplied: true });
  }

  /** @type {AgentSubmissionStore["completeSubmission"]} */
  async completeSubmission({ submissionId, attemptId }) {
    return this.#applied(submissionId, { do: "settle", attempt: attemptId });
  }

  /** @type {AgentSubmissionStore["failSubmission"]} */
  async failSubmission({ submissionId, attemptId }, error) {
    return this.#applied(submissionId, { do: "settle", attempt: attemptId, error: messageOf(error) });
  }

  /** @type {AgentSubmissionStore["renewLeases"]} */
  async renewLeases(ownerId, submissionIds) {
    await this.#queue.renew(ownerId, submissionIds, this.#leaseUntil(Date.now() + LEASE_DURATION_MS));
  }

  /**
   * When a lease ends that Flue would have end then.
   *
   * @param {number} latest
   */
  #leaseUntil(latest) {
    return Math.min(latest, Date.now() + this.#leaseMs);
  }

  /**
   * @param {string} submissionId
   * @param {any} change
   */
  async #applied(submissionId, change) {
    return (await this.#queue.change(submissionId, change)).applied;
  }

  // The journal of a turn is the note of its task, and goes with it from attempt to attempt.

  /** @type {AgentSubmissionStore["getTurnJournal"]} */
  async getTurnJournal(submissionId) {
    const task = await this.#queue.get(submissionId);
    if (!task?.note) return null;
    const { begunBy, committedBy, toolRequest, ...note } = task.note;
    const kept = toolRequest === undefined ? {} : { toolRequest: await this.#toolRequest(submissionId, toolRequest) };
    return {
      submissionId,
      sessionKey: task.lane,
      kind: task.kind,
      attemptId: committedBy ?? task.attempt ?? begunBy,
      revision: task.noteRevision,
      updatedAt: task.notedAt,
      ...note,
      ...kept,
    };
  }

  /** @type {AgentSubmissionStore["beginTurnJournal"]} */
  async beginTurnJournal({ submissionId, attemptId, operationId, turnId, phase, checkpointLeafId, toolRequest }) {
    return this.#note(submissionId, attemptId, {
      begunBy: attemptId,
      committedBy: null,
      operationId,
      turnId,
      phase,
      createdAt: Date.now(),
      checkpointLeafId: checkpointLeafId ?? null,
      toolRequest: (await keep(this.#client, [submissionId, "toolRequest"], toolRequest)) ?? null,
      streamKey: null,
      streamConsumedAt: null,
      committed: false,
      committedLeafId: null,
    });
  }

  /** @type {AgentSubmissionStore["updateTurnJournalPhase"]} */
  async updateTurnJournalPhase({ submissionId, attemptId }, phase, { checkpointLeafId, toolRequest, streamKey } = {}) {
    const kept = await keep(this.#client, [submissionId, "toolRequest"], toolRequest);
    const changes = known({ checkpointLeafId, toolRequest: kept, streamKey });
    return this.#note(submissionId, attemptId, { phase, ...changes }, { committed: false });
  }

  /** @type {AgentSubmissionStore["commitTurnJournal"]} */
  async commitTurnJournal({ submissionId, attemptId }, committedLeafId) {
    const note = { phase: "committed", committed: true, committedBy: attemptId, committedLeafId };
    return this.#note(submissionId, attemptId, note, { committed: false });
  }

  /** @type {AgentSubmissionStore["markStreamConsumed"]} */
  async markStreamConsumed({ submissionId, attemptId }, streamKey) {
    const unless = { committed: false, streamKey, streamConsumedAt: null };
    return this.#note(submissionId, attemptId, { streamConsumedAt: Date.now() }, unless);
  }

  /** @type {AgentSubmissionStore["replaceTurnJournalAttempt"]} */
  async replaceTurnJournalAttempt({ submissionId, attemptId }, nextAttemptId, lease) {
    const { applied, task } = await this.#queue.change(submissionId, {
      do: "replace",
      attempt: attemptId,
      nextAttempt: nextAttemptId,
      ...(lease ? { holder: lease.ownerId, leaseUntil: this.#leaseUntil(lease.leaseExpiresAt) } : {}),
    });
    return applied ? submissionOf(task) : null;
  }

  /**
   * @param {string} submissionId
   * @param {string} attempt
   * @param {Record<string, any>} note
   * @param {Record<string, any>} [only] What the note has to have.
   */
  #note(submissionId, attempt, note, only = {}) {
    return this.#applied(submissionId, { do: "note", attempt, note, if: only });
  }

  /**
   * @param {string} submissionId
   * @param {string | true} kept
   */
  #toolRequest(submissionId, kept) {
    return valueOf(this.#client, [submissionId, "toolRequest"], kept);
  }

  // What an answer was streamed as.

  /** @type {AgentSubmissionStore["appendStreamChunkSegment"]} */
  async appendStreamChunkSegment(streamKey, segmentIndex, body) {
    const entry = { at: segmentIndex, data: wrapped(body), create: true };
    return (await appendAt(this.#client, CHUNKS, streamKey, entry)) ?? false;
  }

  /** @type {AgentSubmissionStore["getStreamChunkSegments"]} */
  async getStreamChunkSegments(streamKey) {
    const rows = await entriesOf(this.#client, CHUNKS, streamKey);
    return rows.map((row) => ({ segmentIndex: row.seq, body: unwrapped(row.data) }));
  }

  /** @type {AgentSubmissionStore["deleteStreamChunkSegments"]} */
  async deleteStreamChunkSegments(streamKey) {
    await this.#client.send("DELETE", ["journals", CHUNKS, streamKey]);
  }

  // Deleting a session.

  /** @type {AgentSubmissionStore["deleteSession"]} */
  deleteSession(sessionKey, deleteSessionTree) {
    return deduplicateSessionDeletion(this.#deletions, sessionKey, () => this.#delete(sessionKey, deleteSessionTree));
  }

  /**
   * @param {string} lane
   * @param {() => Promise<void>} deleteSessionTree
   */
  async #delete(lane, deleteSessionTree) {
    await this.#close(lane);
    try {
      await deleteSessionTree();
    } catch (error) {
      await this.#queue.lane(lane, { do: "open" });
      throw error;
    }
    for (const task of await this.#queue.list("lane", { lane })) {
      if (task.note?.streamKey) await this.deleteStreamChunkSegments(task.note.streamKey);
    }
    await this.#queue.lane(lane, { do: "clear", keep: "dispatch" });
  }

  /** @param {string} lane */
  async #close(lane) {
    const closed = this.#queue.lane(lane, { do: "close" });
    const settled = closed.then(
      () => {},
      () => {},
    );
    this.#closing.set(lane, settled);
    try {
      await closed;
    } catch (error) {
      if (!(error instanceof ThreadkeepError && error.reason === "lane_busy")) throw error;
      throw new Error(
        "[flue] Session cannot be deleted while durable agent submissions are queued or running. " +
          "Wait until they are settled, then delete it again.",
        { cause: error },
      );
    } finally {
      this.#closing.delete(lane);
    }
  }
}

function defaultTimeoutAt() {
  return Date.now() + DURABILITY_DEFAULT_TIMEOUT_MINUTES * 60_000;
}

/**
 * @param {any} task
 * @returns {AgentSubmission}
 */
function submissionOf(task) {
  const input = unwrapped(task.payload);
  const row = { kind: task.kind, submissionId: task.id, sessionKey: task.lane, acceptedAt: task.acceptedAt };
  if (!isSubmissionPayload(input, row)) throw new Error("[flue] What is kept of the submission does not fit to it.");
  return {
    sequence: task.seq,
    submissionId: task.id,
    sessionKey: task.lane,
    kind: task.kind,
    input,
    status: task.state,
    acceptedAt: task.acceptedAt,
    ...known({
      attemptId: task.attempt,
      inputAppliedAt: task.appliedAt,
      recoveryRequestedAt: task.recoveryAt,
      startedAt: task.startedAt,
      error: task.error,
      ownerId: task.holder,
    }),
    attemptCount: task.attempts,
    maxRetry: task.attemptsMax,
    timeoutAt: task.timeoutAt,
    leaseExpiresAt: task.leaseUntil,
  };
}
