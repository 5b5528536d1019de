import type { PersistenceAdapter } from "@flue/runtime/adapter";
import type { Connection } from "./client.js";
import type { SessionOptions } from "./sessions.js";

export type { Connection } from "./client.js";
export type { SessionOptions } from "./sessions.js";

export interface Options extends Connection, SessionOptions {
  /**
   * How long a process holds a submission after it was last heard of; Flue's 30 seconds without it. The shorter, the
   * sooner another process goes on after a crash. Flue renews every 10 seconds, so it has to be longer than that.
   */
  leaseMs?: number;
}

/**
 * What `db.ts` of a Flue 0.10 project exports. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and
 * `THREADKEEP_USER` say.
 */
export function threadkeep(options?: Options): PersistenceAdapter;
