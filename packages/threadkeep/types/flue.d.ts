import type { PersistenceAdapter } from "@flue/runtime/adapter";
import { type Connection, ThreadkeepError } from "./client.js";
import type { SessionOptions, SessionStore } from "./sessions.js";

export type { Connection } from "./client.js";
export type { SessionDelta, SessionOptions, SessionStore } from "./sessions.js";

export interface Options extends Connection {
  /**
   * How long a process holds a submission after it was last heard of; Flue's 30 seconds without it. The shorter, the
   * sooner another process goes on after a crash. Flue renews every 10 seconds, so it has to be longer than that.
   */
  leaseMs?: number;
}

/**
 * What `db.ts` of a Flue 2 project exports. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and
 * `THREADKEEP_USER` say.
 */
export function threadkeep(options?: Options): PersistenceAdapter;

/** A store of sessions over a service binding to a Worker that is Threadkeep. */
export function sessionStore(
  fetcher: { fetch: typeof fetch },
  options?: Omit<Connection, "fetch"> & SessionOptions,
): SessionStore;

/** Another writer has saved the session since it was loaded here. */
export class SessionConflict extends ThreadkeepError {
  constructor(id: string);
}
