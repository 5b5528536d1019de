/** The submissions of Flue 2: a queue of tasks, each in the lane of its session. */

import { Client } from "./client.js";
import { textOf, unwrapped, wrapped } from "./json.js";
import { checkedLease, known, messageOf, Queue, readable } from "./queue.js";

export const QUEUE = "flue";
/** What Flue calls the states of a task, where it has other words. @type {Record<string, AgentSubmission["status"]>} */
const STATUS = { settling: "terminalizing" };
/** What a submission that failed says where nobody has said why. */
const FAILED = "The submission did not complete.";

/** @typedef {typeof import("@flue/runtime/adapter")} Flue */
/** @typedef {import("@flue/runtime/adapter").AgentSubmission} AgentSubmission */
/** @typedef {import("@flue/runtime/adapter").AgentSubmissionInput} AgentSubmissionInput */
/** @typedef {import("@flue/runtime/adapter").AgentSubmissionStore} AgentSubmissionStore */
/** @typedef {import("@flue/runtime/adapter").SubmissionSettlementObligation} SubmissionSettlementObligation */

/** @implements {AgentSubmissionStore} */
export class Submissions {
  #flue;
  #queue;
  #leaseMs;

  /**
   * @param {Client} client
   * @param {Flue} flue
   * @param {{leaseMs?: number}} [options]
   */
  constructor(client, flue, { leaseMs } = {}) {
    this.#flue = flue;
    this.#queue = new Queue(client, QUEUE);
    this.#leaseMs = leaseMs === undefined ? Number.POSITIVE_INFINITY : checkedLease(leaseMs);
  }

  // Admission.

  /** @type {AgentSubmissionStore["admitDispatch"]} */
  async admitDispatch(input) {
    return this.#admit(this.#flue.createDispatchAgentSubmissionInput(input));
  }

  /** @type {AgentSubmissionStore["admitDirect"]} */
  async admitDirect(input) {
    const admission = await this.#admit(input);
    if (admission.kind === "submission") return admission.submission;
    // Flue's own stores say "unexpected result", and its suite looks for that.
    throw new Error(`[flue] An unexpected result: ${input.submissionId} was admitted before with other content.`);
  }

  /**
   * @param {AgentSubmissionInput} input
   * @returns {Promise<import("@flue/runtime/adapter").AgentDispatchAdmission>}
   */
  async #admit(input) {
    const { agent, id, kind, submissionId, acceptedAt } = input;
    const { createSessionStorageKey, SUBMISSION_HARNESS_NAME, SUBMISSION_SESSION_NAME } = this.#flue;
    const admission = await this.#queue.admit({
      id: submissionId,
      lane: createSessionStorageKey(agent, id, SUBMISSION_HARNESS_NAME, SUBMISSION_SESSION_NAME),
      kind,
      target: agent,
      payload: wrapped(input),
      ready: false,
      acceptedAt: this.#flue.parseAcceptedAt(acceptedAt, `${kind} admission`),
      attemptsMax: this.#flue.DURABILITY_DEFAULT_MAX_ATTEMPTS,
    });
    if (admission.kind !== "task") return { kind: "conflict" };
    return { kind: "submission", submission: this.#read(admission.task) };
  }

  /** @type {AgentSubmissionStore["markSubmissionCanonicalReady"]} */
  async markSubmissionCanonicalReady(submissionId) {
    return this.#changed(submissionId, { do: "ready" });
  }

  // Reading.

  /** @type {AgentSubmissionStore["getSubmission"]} */
  async getSubmission(submissionId) {
    const task = await this.#queue.get(submissionId);
    return task && this.#read(task);
  }

  /** @type {AgentSubmissionStore["hasUnsettledSubmissions"]} */
  hasUnsettledSubmissions() {
    return this.#queue.hasOpenTasks();
  }

  /** @type {AgentSubmissionStore["listRunnableSubmissions"]} */
  listRunnableSubmissions() {
    return this.#list("runnable");
  }

  /** @type {AgentSubmissionStore["listUnreadySubmissions"]} */
  listUnreadySubmissions() {
    return this.#list("unready");
  }

  /** @type {AgentSubmissionStore["listRunningSubmissions"]} */
  listRunningSubmissions() {
    return this.#list("running");
  }

  /** @type {AgentSubmissionStore["listExpiredSubmissions"]} */
  listExpiredSubmissions() {
    return this.#list("expired");
  }

  /** @type {AgentSubmissionStore["listJoinedSubmissions"]} */
  listJoinedSubmissions(hostSubmissionId) {
    return this.#list("joined", { host: hostSubmissionId });
  }

  /** @type {AgentSubmissionStore["listPendingSubmissionSettlements"]} */
  async listPendingSubmissionSettlements() {
    return (await this.#queue.list("settling")).map(obligationOf);
  }

  // The life of a submission.

  /** @type {AgentSubmissionStore["claimSubmission"]} */
  async claimSubmission({ submissionId, attemptId, ownerId, leaseExpiresAt }) {
    return this.#changed(submissionId, {
      do: "claim",
      attempt: attemptId,
      holder: ownerId,
      leaseUntil: this.#leaseUntil(leaseExpiresAt),
      attemptsMax: this.#flue.DURABILITY_DEFAULT_MAX_ATTEMPTS,
      timeoutAt: this.#defaultTimeoutAt(),
    });
  }

  /** @type {AgentSubmissionStore["markSubmissionInputApplied"]} */
  async markSubmissionInputApplied({ submissionId, attemptId }, durability) {
    return this.#applied(submissionId, {
      do: "applied",
      attempt: attemptId,
      attemptsMax: durability?.maxAttempts ?? this.#flue.DURABILITY_DEFAULT_MAX_ATTEMPTS,
      timeoutAt: durability?.timeoutAt ?? this.#defaultTimeoutAt(),
    });
  }

  /** @type {AgentSubmissionStore["replaceSubmissionAttempt"]} */
  async replaceSubmissionAttempt({ submissionId, attemptId }, nextAttemptId, lease) {
    return this.#changed(submissionId, {
      do: "replace",
      attempt: attemptId,
      nextAttempt: nextAttemptId,
      ...(lease ? { holder: lease.ownerId, leaseUntil: this.#leaseUntil(lease.leaseExpiresAt) } : {}),
    });
  }

  /** @type {AgentSubmissionStore["requeueSubmission"]} */
  async requeueSubmission({ submissionId, attemptId }) {
    return this.#applied(submissionId, { do: "requeue", attempt: attemptId });
  }

  /** @type {AgentSubmissionStore["requestSessionAbort"]} */
  async requestSessionAbort(sessionKey) {
    return (await this.#queue.lane(sessionKey, { do: "abort" })).aborted;
  }

  /** @type {AgentSubmissionStore["renewLeases"]} */
  async renewLeases(ownerId, submissionIds) {
    await this.#queue.renew(ownerId, submissionIds, this.#leaseUntil(Date.now() + this.#flue.LEASE_DURATION_MS));
  }

  // Its end.

  /** @type {AgentSubmissionStore["completeSubmission"]} */
  async completeSubmission({ submissionId, attemptId }) {
    return this.#applied(submissionId, { do: "settle", attempt: attemptId });
  }

  /** @type {AgentSubmissionStore["failSubmission"]} */
  async failSubmission({ submissionId, attemptId }, error) {
    return this.#applied(submissionId, { do: "settle", attempt: attemptId, error: messageOf(error) });
  }

  /** @type {AgentSubmissionStore["settleQueuedSubmission"]} */
  async settleQueuedSubmission(submissionId, _outcome, error) {
    return this.#applied(submissionId, { do: "drop", error: messageOf(error) });
  }

  /** @type {AgentSubmissionStore["reserveSubmissionSettlement"]} */
  async reserveSubmissionSettlement({ submissionId, attemptId }, { recordId, record }) {
    const settlement = wrapped(record);
    const { applied, task } = await this.#queue.change(submissionId, {
      do: "reserve",
      attempt: attemptId,
      settlementId: recordId,
      settlement,
      ...(record.outcome === "completed" ? {} : { error: messageOf(record.error ?? FAILED) }),
    });
    const isReservedSo =
      task?.state === "settling" &&
      task.attempt === attemptId &&
      task.settlementId === recordId &&
      textOf(task.settlement) === textOf(settlement);
    return applied || isReservedSo ? obligationOf(task) : null;
  }

  /** @type {AgentSubmissionStore["finalizeSubmissionSettlement"]} */
  async finalizeSubmissionSettlement({ submissionId, attemptId }, recordId, { errorMessage } = {}) {
    const error = errorMessage === undefined ? {} : { error: messageOf(errorMessage) };
    return this.#applied(submissionId, { do: "finalize", attempt: attemptId, settlementId: recordId, ...error });
  }

  // Joining a response that is under way.

  /** @type {AgentSubmissionStore["claimJoinableSubmissions"]} */
  async claimJoinableSubmissions({ submissionId, attemptId }, agentName) {
    const tasks = await this.#queue.absorb(submissionId, { attempt: attemptId, target: agentName });
    return tasks.map((task) => this.#read(task));
  }

  /** @type {AgentSubmissionStore["finalizeJoinedSubmission"]} */
  async finalizeJoinedSubmission(host, submissionId) {
    return this.#applied(submissionId, { do: "join", host: host.submissionId, attempt: host.attemptId });
  }

  /** @type {AgentSubmissionStore["revertJoiningSubmission"]} */
  async revertJoiningSubmission(host, submissionId) {
    return this.#applied(submissionId, { do: "leave", host: host.submissionId, attempt: host.attemptId });
  }

  /**
   * @param {string} submissionId
   * @param {any} change
   */
  async #applied(submissionId, change) {
    return (await this.#queue.change(submissionId, change)).applied;
  }

  /**
   * @param {string} submissionId
   * @param {any} change
   * @returns {Promise<AgentSubmission | null>} Null where the change was not made.
   */
  async #changed(submissionId, change) {
    const { applied, task } = await this.#queue.change(submissionId, change);
    return applied ? this.#read(task) : null;
  }

  /**
   * @param {string} view
   * @param {{host?: string}} [of]
   */
  async #list(view, of) {
    return readable(this.#queue, await this.#queue.list(view, of), (task) => this.#read(task));
  }

  /**
   * When a lease ends that Flue would have end then.
   *
   * @param {number} latest
   */
  #leaseUntil(latest) {
    return Math.min(latest, Date.now() + this.#leaseMs);
  }

  #defaultTimeoutAt() {
    return Date.now() + this.#flue.DURABILITY_DEFAULT_TIMEOUT_MS;
  }

  /**
   * @param {any} task
   * @returns {AgentSubmission}
   */
  #read(task) {
    const input = unwrapped(task.payload);
    const row = { kind: task.kind, submissionId: task.id, sessionKey: task.lane, acceptedAt: task.acceptedAt };
    if (!this.#flue.isSubmissionPayload(input, row)) {
      throw new Error("[flue] What is kept of the submission does not fit to it.");
    }
    return {
      sequence: task.seq,
      submissionId: task.id,
      sessionKey: task.lane,
      kind: task.kind,
      input,
      status: STATUS[task.state] ?? task.state,
      acceptedAt: task.acceptedAt,
      canonicalReadyAt: task.readyAt,
      ...known({
        attemptId: task.attempt,
        inputAppliedAt: task.appliedAt,
        abortRequestedAt: task.abortAt,
        startedAt: task.startedAt,
        joinedInto: task.host,
        error: task.error,
        settledAt: task.settledAt,
        ownerId: task.holder,
      }),
      attemptCount: task.attempts,
      maxAttempts: task.attemptsMax,
      timeoutAt: task.timeoutAt,
      leaseExpiresAt: task.leaseUntil,
    };
  }
}

/**
 * @param {any} task
 * @returns {SubmissionSettlementObligation}
 */
function obligationOf(task) {
  return {
    submissionId: task.id,
    sessionKey: task.lane,
    attemptId: task.attempt,
    recordId: task.settlementId,
    record: unwrapped(task.settlement),
  };
}
