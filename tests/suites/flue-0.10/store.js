// A new user's stores.

import { randomUUID } from "node:crypto";
import { threadkeep } from "threadkeep/flue-0.10";

/** A new user's adapter. */
export const adapter = (options = {}) => threadkeep({ user: `flue-0.10-${randomUUID()}`, ...options });

/** A new user's stores, after what Flue does when it starts. */
export async function stores(options) {
  const made = adapter(options);
  await made.migrate();
  return made.connect();
}
