// A new user's stores.

import { randomUUID } from "node:crypto";
import { threadkeep } from "threadkeep/flue-0.10";

/** A new user's adapter. */
export const adapter = (options = {}) => threadkeep({ user: `flue-0.10-${randomUUID()}`, ...options });
