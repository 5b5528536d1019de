// A new user's stores.

import { randomUUID } from "node:crypto";
import { threadkeep } from "threadkeep/flue";

/** A new user's stores. */
export const stores = (options = {}) => threadkeep({ user: `flue-2-${randomUUID()}`, ...options }).connect();
