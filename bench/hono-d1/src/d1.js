// The Worker on D1.
import { createApp } from "./app.js";
import { ApiError } from "./errors.js";
import { Store } from "./store.js";

const writes = (sql) => !/^\s*(SELECT|WITH)/.test(sql);

const app = createApp((c, userId, bookmark) => {
  let session = bookmark && c.env.CONVERSATIONS_D1.withSession(bookmark);
  return new Store(async (statements) => {
    try {
      // What reads without a bookmark is answered by the primary, and needs no session.
      if (statements.some(([sql]) => writes(sql))) session ??= c.env.CONVERSATIONS_D1.withSession("first-primary");
      const database = session ?? c.env.CONVERSATIONS_D1;
      const prepared = statements.map(([sql, ...parameters]) => database.prepare(sql).bind(...parameters));
      const results = prepared.length > 1 ? await database.batch(prepared) : [await prepared[0].all()];
      const end = session?.getBookmark();
      if (end) c.header("x-d1-bookmark", end);
      return results.map((result) => result.results);
    } catch (error) {
      if (/SQLITE_(ERROR|CONSTRAINT|TOOBIG|CORRUPT)|D1_TYPE_ERROR/.test(error.message)) throw error;
      throw new ApiError("unavailable", "D1 could not be reached or was too busy. Try again.");
    }
  }, userId);
});

export default app;
