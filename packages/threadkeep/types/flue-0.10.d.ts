import type { PersistenceAdapter } from "@flue/runtime/adapter";
import type { Connection } from "./client.js";
import type { SessionOptions } from "./sessions.js";

export type { Connection } from "./client.js";
export type { SessionOptions } from "./sessions.js";

/**
 * What `db.ts` of a Flue 0.10 project exports. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and
 * `THREADKEEP_USER` say.
 */
export function threadkeep(options?: Connection & SessionOptions): PersistenceAdapter;
