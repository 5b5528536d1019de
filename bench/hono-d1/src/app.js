// The routes, for any store.
import { createHash, timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { messageRecord, messageRecords } from "./records.js";
import { ApiError, invalid, tooLarge } from "./errors.js";
import { parseBody } from "./json.js";
import { changesOf, conversationOf, hitOf, messageOf } from "./present.js";
import * as schemas from "./schemas.js";
import { parseQuery } from "./search.js";
import { exportDocument, importDocuments, lines } from "./export_v1.js";

const BODY_BYTES_MAX = 8 * 1024 * 1024;
const BOOKMARK = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/;

/** `openStore` takes the context, who asks, and where their last request ended, and opens their store. */
export function createApp(openStore) {
  const app = new Hono();

  app.use(async (c, next) => {
    const given = c.req.header("x-request-id");
    await next();
    c.header("x-request-id", given && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : crypto.randomUUID());
    c.header("x-content-type-options", "nosniff");
    c.header("cache-control", "no-store");
  });

  app.onError((error, c) => {
    if (error instanceof ApiError) return c.json({ error }, error.status);
    console.error(error);
    return c.json({ error: { code: "internal", message: "Something went wrong on the server." } }, 500);
  });
  app.notFound((c) => c.json({ error: { code: "not_found", message: "There is nothing at this address." } }, 404));

  app.get("/api/health", (c) => c.json({ status: "ok" }));

  app.use("/api/*", async (c, next) => {
    const userId = authenticate(c);
    c.set("store", openStore(c, userId, bookmarkOf(c)));
    await next();
  });

  const limited = bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: () => {
      throw tooLarge(`The body of a request may have up to ${BODY_BYTES_MAX} bytes. Send it in parts.`);
    },
  });

  app.get("/api/conversations", async (c) => {
    const fields = query(c, schemas.listQuery, schemas.grouped);
    if (fields.createdAfter !== undefined && fields.createdBefore <= fields.createdAfter) {
      throw invalid("createdBefore: `createdBefore` must be later than `createdAfter`.", "createdBefore");
    }
    const { rows, ...page } = await c.get("store").conversations(fields);
    return c.json({ conversations: rows.map((row) => conversationOf(row)), ...page });
  });

  app.get("/api/conversations/search", async (c) => {
    const fields = query(c, schemas.searchQuery);
    if (fields.from !== undefined && fields.to !== undefined && fields.from >= fields.to) {
      throw invalid("to: `to` must be later than `from`.", "to");
    }
    const terms = parseQuery(fields.q);
    const { rows, nextCursor } = await c.get("store").search(terms, fields);
    return c.json({ hits: rows.map((row) => hitOf(row, terms)), nextCursor });
  });

  app.get("/api/conversations/changes", async (c) => {
    const { since, limit } = query(c, schemas.changesQuery);
    const { rows, next, hasMore } = await c.get("store").changes(since, limit);
    return c.json({ ...changesOf(rows), next, hasMore, removed: [], drafts: [] });
  });

  app.get("/api/conversations/:id/messages", async (c) => {
    const fields = query(c, schemas.messagesQuery);
    if (fields.cursor !== undefined && fields.after !== undefined) {
      throw invalid("after: Send `cursor` or `after`, not both.", "after");
    }
    const { rows, nextCursor } = await c.get("store").messages(conversationId(c), fields);
    return c.json({ messages: rows.map((row) => messageOf(row)), nextCursor, branches: [], drafts: [] });
  });

  app.post("/api/conversations/:id/messages", limited, async (c) => {
    checkMediaType(c, "application/json", "application/merge-patch+json");
    const body = parseBody(await c.req.arrayBuffer());
    const isMany = body !== null && typeof body === "object" && Object.hasOwn(body, "messages");
    const sent = schemas.check(isMany ? schemas.appendMany : schemas.appendOne, body);
    const records = isMany ? messageRecords(sent.messages) : [messageRecord(sent)];
    const appended = await c.get("store").append(conversationId(c), records, sent.expectedMessageCount);
    const messages = appended.receipts.map((row) => ({ id: row.id, seq: row.seq, createdAt: row.created_at }));
    return c.json({ messages, conversation: conversationOf(appended.conversation) }, appended.isNew ? 201 : 200);
  });

  app.get("/api/conversations/:id/export", async (c) => {
    const id = conversationId(c);
    const store = c.get("store");
    const document = exportDocument(store, await store.messages(id, { after: 0, limit: 200 }));
    c.header("content-type", "application/json");
    c.header("content-disposition", `attachment; filename="${id.replaceAll(":", "_")}.json"`);
    return c.body(document);
  });

  app.post("/api/import", async (c) => {
    const key = c.req.header("idempotency-key");
    if (key !== undefined && !/^[!-~]{1,255}$/.test(key)) {
      throw invalid("idempotency-key: A key must have 1 to 255 visible ASCII characters.", "idempotency-key");
    }
    checkMediaType(c, "application/json", "application/x-ndjson");
    const isMany = mediaType(c) === "application/x-ndjson";
    if (!isMany) await limited(c, async () => {});
    const entries = isMany ? lines(c.req.raw.body) : [new Uint8Array(await c.req.arrayBuffer())];
    return c.json(await importDocuments(c.get("store"), entries, key));
  });

  return app;
}

function authenticate(c) {
  const [scheme, token] = (c.req.header("authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token?.startsWith("tk_")) {
    throw new ApiError("unauthenticated", "Send `Authorization: Bearer`, followed by a service key.");
  }
  const given = createHash("sha256").update(token).digest();
  const known = (c.env.AUTH_SERVICE_KEYS ?? "").split(",").filter((key) => key.trim() !== "");
  const matches = known.map((key) => timingSafeEqual(given, Buffer.from(key.trim(), "hex")));
  if (!matches.includes(true)) throw new ApiError("unauthenticated", "This service key is not known here.");
  const userId = schemas.userId.safeParse(c.req.header("x-user-id"));
  if (!userId.success) throw invalid("x-user-id: A user id has 1 to 255 characters.", "x-user-id");
  return userId.data;
}

function conversationId(c) {
  const id = c.req.param("id");
  if (!schemas.isId(id)) throw invalid(`id: This is not ${schemas.ID_IN_WORDS}.`, "id");
  return id;
}

function query(c, schema, prepared = (fields) => fields) {
  const fields = c.req.queries();
  const twice = Object.keys(fields).find((name) => fields[name].length > 1);
  if (twice) throw invalid("The query string has a field twice; each may be there only once.", twice);
  return schemas.check(schema, prepared(c.req.query()));
}

const mediaType = (c) => (c.req.header("content-type") ?? "").split(";")[0].trim().toLowerCase();

function checkMediaType(c, ...types) {
  const parameters = (c.req.header("content-type") ?? "").split(";").slice(1).join(";").trim().toLowerCase();
  if (!types.includes(mediaType(c)) || !["", "charset=utf-8", 'charset="utf-8"'].includes(parameters)) {
    throw new ApiError("unsupported_media_type", `Send UTF-8, with \`Content-Type: ${types.join(" or ")}\`.`);
  }
}

/** The bookmark that a request carries, if it does. */
function bookmarkOf(c) {
  const bookmark = c.req.header("x-d1-bookmark");
  if (bookmark !== undefined && !BOOKMARK.test(bookmark)) {
    throw invalid("x-d1-bookmark: This is not a bookmark; send one unchanged, or none.", "x-d1-bookmark");
  }
  return bookmark;
}
