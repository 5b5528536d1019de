// The Worker on a SQLite Durable Object for each user, called by RPC.
import { DurableObject } from "cloudflare:workers";
import conversations from "../../../migrations/sqlite/0001_conversations.sql";
import search from "../../../migrations/sqlite/0002_search.sql";
import erasing from "../../../migrations/sqlite/0003_erasing.sql";
import padding from "../../../migrations/sqlite/0004_padding.sql";
import searchIndex from "../../../migrations/sqlite/0005_search_index.sql";
import readingAgain from "../../../migrations/sqlite/0006_reading_again.sql";
import developerRole from "../../../migrations/sqlite/0007_developer_role.sql";
import expiry from "../../../migrations/sqlite/0008_expiry.sql";
import messagesEdited from "../../../migrations/sqlite/0013_messages_edited.sql";
import branches from "../../../migrations/sqlite/0014_branches.sql";
import drafts from "../../../migrations/sqlite/0015_drafts.sql";
import { createApp } from "./app.js";
import { ApiError } from "./errors.js";
import { Store } from "./store.js";

const MIGRATIONS = {
  "0001_conversations.sql": conversations,
  "0002_search.sql": search,
  "0003_erasing.sql": erasing,
  "0004_padding.sql": padding,
  "0005_search_index.sql": searchIndex,
  "0006_reading_again.sql": readingAgain,
  "0007_developer_role.sql": developerRole,
  "0008_expiry.sql": expiry,
  "0013_messages_edited.sql": messagesEdited,
  "0014_branches.sql": branches,
  "0015_drafts.sql": drafts,
};
const METHODS = ["append", "messages", "conversations", "changes", "search", "import"];

export class UserConversations extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.migrate();
    this.store = new Store((statements) => this.run(statements), ctx.id.name);
  }

  append(...parameters) {
    return answered(() => this.store.append(...parameters));
  }

  messages(...parameters) {
    return answered(() => this.store.messages(...parameters));
  }

  conversations(...parameters) {
    return answered(() => this.store.conversations(...parameters));
  }

  changes(...parameters) {
    return answered(() => this.store.changes(...parameters));
  }

  search(...parameters) {
    return answered(() => this.store.search(...parameters));
  }

  import(...parameters) {
    return answered(() => this.store.import(...parameters));
  }

  run(statements) {
    return this.ctx.storage.transactionSync(() =>
      statements.map(([sql, ...parameters]) => this.sql.exec(sql, ...parameters).toArray()),
    );
  }

  migrate() {
    this.sql.exec(
      "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
    );
    const applied = new Set(this.sql.exec("SELECT name FROM schema_migrations").toArray().map(({ name }) => name));
    for (const [name, text] of Object.entries(MIGRATIONS)) {
      if (applied.has(name)) continue;
      this.ctx.storage.transactionSync(() => {
        this.sql.exec(text);
        this.sql.exec("INSERT INTO schema_migrations (name) VALUES (?)", name);
      });
    }
  }
}

/** RPC loses the classes of errors, so those that are expected are values. */
async function answered(work) {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { error: error.toJSON() };
  }
}

const app = createApp((c, userId) => {
  const stub = c.env.AGENT_CONVERSATIONS_DO.getByName(userId);
  const call = (name) => async (...parameters) => {
    const { value, error } = await stub[name](...parameters);
    if (error) throw new ApiError(error.code, error.message, error.details);
    return value;
  };
  return Object.fromEntries(METHODS.map((name) => [name, call(name)]));
});

export default app;
