/** A queue of tasks, as Threadkeep keeps them: what both stores of Flue's submissions are made of. */

import { Client, ThreadkeepError } from "./client.js";

const PAGE = 1_000;
const ERROR_BYTES_MAX = 65_536;
const RENEWED_EVERY_MS = 10_000;

/** @typedef {any} Task */

export class Queue {
  #client;
  #name;

  /**
   * @param {Client} client
   * @param {string} name
   */
  constructor(client, name) {
    this.#client = client;
    this.#name = name;
  }

  /**
   * Admit a task. Sending it again is safe.
   *
   * @param {any} task
   * @returns {Promise<{kind: "task" | "receipt", task: Task} | {kind: "conflict" | "lane_closed"}>}
   */
  async admit(task) {
    try {
      return (await this.#client.send("POST", ["queues", this.#name, "tasks"], { json: task })).body;
    } catch (error) {
      const reason = error instanceof ThreadkeepError ? error.reason : undefined;
      if (reason === "conflict" || reason === "lane_closed") return { kind: reason };
      throw error;
    }
  }

  /**
   * @param {string} id
   * @returns {Promise<Task | null>} Null where there is none, or only its receipt.
   */
  async get(id) {
    const { status, body } = await this.#client.send("GET", ["queues", this.#name, "tasks", id], { optional: true });
    return status === 404 || body.state === "receipt" ? null : body;
  }

  /**
   * All tasks of a view, in the order in which they were admitted.
   *
   * @param {string} view
   * @param {{host?: string, lane?: string}} [of]
   * @returns {Promise<Task[]>}
   */
  async list(view, of = {}) {
    /** @type {Task[]} */
    const tasks = [];
    for (;;) {
      const query = { view, ...of, limit: PAGE, after: tasks.at(-1)?.seq };
      const { body } = await this.#client.send("GET", ["queues", this.#name, "tasks"], { query });
      tasks.push(...body.tasks);
      if (!body.more) return tasks;
    }
  }

  /**
   * Change a task, if it is in the state that this needs.
   *
   * @param {string} id
   * @param {any} change
   * @returns {Promise<{applied: boolean, task?: Task, absorbed?: {tasks: Task[], more: boolean}}>}
   */
  async change(id, change) {
    return (await this.#client.send("POST", ["queues", this.#name, "tasks", id], { json: change })).body;
  }

  /**
   * Have the next tasks of a lane join the one that runs; return them.
   *
   * @param {string} host
   * @param {{attempt: string, target: string}} by
   * @returns {Promise<Task[]>}
   */
  async absorb(host, by) {
    /** @type {Task[]} */
    const tasks = [];
    for (;;) {
      const { absorbed } = await this.change(host, { do: "absorb", ...by });
      tasks.push(...(absorbed?.tasks ?? []));
      if (!absorbed?.more) return tasks;
    }
  }

  /**
   * @param {string} holder
   * @param {readonly string[]} tasks
   * @param {number} leaseUntil
   */
  async renew(holder, tasks, leaseUntil) {
    for (let from = 0; from < tasks.length; from += PAGE) {
      const json = { holder, tasks: tasks.slice(from, from + PAGE), leaseUntil };
      await this.#client.send("POST", ["queues", this.#name, "renew"], { json });
    }
  }

  /**
   * @param {string} lane
   * @param {any} change
   * @returns {Promise<any>}
   */
  async lane(lane, change) {
    return (await this.#client.send("POST", ["queues", this.#name, "lanes", lane], { json: change })).body;
  }

  /** @returns {Promise<boolean>} */
  async hasOpenTasks() {
    return (await this.#client.send("GET", ["queues", this.#name])).body.hasOpenTasks;
  }
}

/**
 * How long leases last: longer than it takes Flue to renew them, or two processes would have one submission.
 *
 * @param {number} leaseMs
 */
export function checkedLease(leaseMs) {
  if (leaseMs > RENEWED_EVERY_MS) return leaseMs;
  throw new TypeError(`leaseMs: Flue renews leases every ${RENEWED_EVERY_MS} ms. Give them more than that.`);
}

/**
 * Why something failed, as a task keeps it: what an error says, or anything that has a message, or is one. A task takes
 * no NUL and no half of a surrogate pair there.
 *
 * @param {any} error
 */
export function messageOf(error) {
  const message = String(error?.message ?? error).toWellFormed().replaceAll("\0", "\ufffd");
  // A character has at most 3 bytes for each of its units.
  return message.length * 3 <= ERROR_BYTES_MAX ? message : message.slice(0, ERROR_BYTES_MAX / 3 - 1).toWellFormed();
}

/**
 * Read tasks as submissions. One that is not Flue's, or is damaged, is ended, as Flue's own stores do: it would be in
 * the way of all that comes after it in its session.
 *
 * @template T
 * @param {Queue} queue
 * @param {readonly Task[]} tasks
 * @param {(task: Task) => T} read
 * @returns {Promise<T[]>}
 */
export async function readable(queue, tasks, read) {
  /** @type {T[]} */
  const found = [];
  for (const task of tasks) {
    try {
      found.push(read(task));
    } catch (error) {
      console.error("[threadkeep] The submission %s cannot be read, and is ended:", task.id, error);
      const how = task.state === "queued" ? { do: "drop" } : { do: "settle", attempt: task.attempt };
      await queue.change(task.id, { ...how, error: messageOf(error) });
    }
  }
  return found;
}

/**
 * What stands in a task, without what is null there.
 *
 * @param {Record<string, unknown>} fields
 */
export function known(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
}
