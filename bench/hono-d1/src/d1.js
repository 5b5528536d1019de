// The Worker on D1.
import { createApp } from "./app.js";
import { ApiError } from "./errors.js";
import { Store } from "./store.js";

const app = createApp((c, userId, bookmark) => {
  const session = c.env.CONVERSATIONS_D1.withSession(bookmark);
  c.set("session", session);
  return new Store(async (statements) => {
    try {
      const results = await session.batch(
        statements.map(([sql, ...parameters]) => session.prepare(sql).bind(...parameters)),
      );
      const end = session.getBookmark();
      if (end) c.header("x-d1-bookmark", end);
      return results.map((result) => result.results);
    } catch (error) {
      if (/SQLITE_(ERROR|CONSTRAINT|TOOBIG|CORRUPT)|D1_TYPE_ERROR/.test(error.message)) throw error;
      throw new ApiError("unavailable", "D1 could not be reached or was too busy. Try again.");
    }
  }, userId);
});

export default app;
