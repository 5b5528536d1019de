import type { PersistenceAdapter } from "@flue/runtime/adapter";
import { type Connection, ThreadkeepError } from "./client.js";
import type { SessionOptions, SessionStore } from "./sessions.js";

export type { Connection } from "./client.js";
export type { SessionDelta, SessionOptions, SessionStore } from "./sessions.js";

/**
 * What `db.ts` of a Flue 2 project exports. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and
 * `THREADKEEP_USER` say.
 */
export function threadkeep(options?: Connection): PersistenceAdapter;

/** A store of sessions over a service binding to a Worker that is Threadkeep. */
export function sessionStore(
  fetcher: { fetch: typeof fetch },
  options?: Omit<Connection, "fetch"> & SessionOptions,
): SessionStore;

/** Another writer has saved the session since it was loaded here. */
export class SessionConflict extends ThreadkeepError {
  constructor(id: string);
}
