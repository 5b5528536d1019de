// Conversations as documents: out, and in again.
import { createHash } from "node:crypto";
import { messageRecord } from "./records.js";
import { ApiError, invalid, tooLarge } from "./errors.js";
import { checkMetadata, digest, parse, parseBody } from "./json.js";
import { check, importDocument } from "./schemas.js";
import { ulid, ulidOf } from "./ulid.js";

const PAGE = 200;
const BATCH_CONVERSATIONS_MAX = 50;
const BATCH_BYTES_MAX = 4_000_000;
const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024;
const DOCUMENT_MESSAGES_MAX = 20_000;
const DOCUMENTS_MAX = 20_000;
const DEFAULT_TITLE = "New conversation";

/** The document of a conversation as a stream, a page at a time. `first` is its first page, read forward. */
export function exportDocument(store, first) {
  const encoder = new TextEncoder();
  const { conversation } = first;
  let page = first;
  let isFirst = true;
  return new ReadableStream({
    async pull(controller) {
      let text = isFirst ? headOf(conversation) : "";
      const rows = page.rows.map((row) => JSON.stringify(documentMessage(row)));
      if (rows.length > 0) text += (isFirst ? "" : ",") + rows.join(",");
      isFirst = false;
      if (page.nextCursor === null) {
        controller.enqueue(encoder.encode(`${text}]}}`));
        controller.close();
        return;
      }
      controller.enqueue(encoder.encode(text));
      page = await store.messages(conversation.id, { cursor: page.nextCursor, limit: PAGE }).catch((error) => {
        if (error.code !== "not_found") throw error;
        return { rows: [], nextCursor: null };
      });
    },
  });
}

function headOf(row) {
  const document = {
    version: 1,
    exportedAt: new Date().toISOString(),
    conversation: {
      title: null,
      ...withoutNull({
        id: row.id,
        title: row.title_source === "default" ? null : row.title,
        model: row.model,
        createdAt: new Date(row.created_at).toISOString(),
        isArchived: row.is_archived === 1 ? true : null,
        metadata: row.metadata === "{}" ? null : parse(row.metadata),
      }),
      messages: [],
    },
  };
  return JSON.stringify(document).slice(0, -"]}}".length);
}

function documentMessage(row) {
  return withoutNull({
    id: row.id,
    role: row.sent_role ?? row.role,
    content: parse(row.content),
    createdAt: new Date(row.created_at).toISOString(),
    tokenCount: row.token_count,
    model: row.model,
    parentId: row.parent_id,
    metadata: row.metadata === null ? null : parse(row.metadata),
  });
}

const withoutNull = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));

/** Imports documents, many in one batch. One that is wrong is skipped, with the reason, and stops no other. */
export async function importDocuments(store, entries, key) {
  const imported = [];
  const skipped = [];
  let batch = [];
  let size = 0;
  const keep = async () => {
    const taken = batch.length > 0 ? await store.import(batch.map(([, record]) => record)) : [];
    for (const [place, [index, record]] of batch.entries()) {
      if (taken[place]) skipped.push({ index, error: importConflict() });
      else imported.push({ index, id: record.id, title: record.title, messageCount: record.messageCount });
    }
    batch = [];
    size = 0;
  };
  let index = 0;
  for await (const entry of entries) {
    if (index === DOCUMENTS_MAX) {
      skipped.push({ index, error: tooLarge(`An import may have ${DOCUMENTS_MAX} documents.`) });
      break;
    }
    try {
      if (entry instanceof ApiError) throw entry;
      const record = importRecord(entry, key, index);
      const bytes = entry.byteLength + record.messages.reduce((sum, message) => sum + 4 * message.text.length, 0);
      if (batch.length > 0 && (size + bytes > BATCH_BYTES_MAX || batch.length >= BATCH_CONVERSATIONS_MAX)) await keep();
      batch.push([index, record]);
      size += bytes;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      skipped.push({ index, error });
    }
    index++;
  }
  await keep();
  return { imported, skipped: skipped.sort((one, other) => one.index - other.index) };
}

const importConflict = () =>
  new ApiError("conflict", "This Idempotency-Key was used before: for another document at this place, or for this one, which was deleted.");

function importRecord(bytes, key, index) {
  const { conversation } = check(importDocument, parseBody(bytes, 104));
  const sent = conversation.messages;
  if (sent.length > DOCUMENT_MESSAGES_MAX) throw tooLarge(`A document may have ${DOCUMENT_MESSAGES_MAX} messages.`);
  const metadata = checkMetadata(conversation.metadata, "conversation.metadata");
  const now = Date.now();
  const first = conversation.createdAt ?? sent.find((message) => message.createdAt)?.createdAt;
  const createdAt = first?.milliseconds ?? now;
  const names = new Map();
  for (const [number, message] of sent.entries()) {
    const path = `conversation.messages[${number}].id`;
    if (message.id == null) continue;
    if (names.has(message.id)) throw invalid(`${path}: Another message of this document has this id.`, path);
    names.set(message.id, newId(key, index, number + 1));
  }
  const id = newId(key, index, 0);
  let time = createdAt;
  const messages = sent.map((message, number) => {
    time = message.createdAt?.milliseconds ?? time;
    const fields = {
      ...message,
      id: names.get(message.id) ?? newId(key, index, number + 1),
      parentId: names.get(message.parentId) ?? null,
    };
    const record = messageRecord(fields, `conversation.messages[${number}]`);
    return { ...record, conversationId: id, seq: number + 1, createdAt: time };
  });
  const title = messages.find((message) => message.title)?.title;
  return {
    id,
    digest: digest(
      conversation.title ?? null,
      conversation.model ?? null,
      conversation.isArchived,
      metadata,
      conversation.createdAt?.milliseconds ?? null,
      messages.map((record, number) => [record.digest, sent[number].createdAt?.milliseconds ?? null]),
    ),
    title: conversation.title ?? title ?? DEFAULT_TITLE,
    titleSource: conversation.title ? "user" : title ? "first_message" : "default",
    model: conversation.model ?? null,
    metadata: JSON.stringify(metadata ?? {}),
    isArchived: conversation.isArchived ? 1 : 0,
    createdAt,
    updatedAt: Math.min(now, Math.max(createdAt, messages.at(-1)?.createdAt ?? 0)),
    messageCount: messages.length,
    messages,
  };
}

/** A new id, or the one that always follows from a key and a place. */
function newId(key, index, number) {
  if (key === undefined) return ulid();
  const hash = createHash("sha256").update(JSON.stringify(["import", key, index, number])).digest();
  return ulidOf(hash.subarray(0, 16));
}

/** The lines of a stream that are not blank. */
export async function* lines(stream) {
  let parts = [];
  let size = 0;
  const ended = () => {
    const line = size > DOCUMENT_BYTES_MAX ? lineTooLong() : parts.length === 1 ? parts[0] : Buffer.concat(parts);
    parts = [];
    size = 0;
    return line;
  };
  const add = (part) => {
    size += part.byteLength;
    if (size <= DOCUMENT_BYTES_MAX) parts.push(part);
    else parts = [];
  };
  const isBlank = (line) => !(line instanceof ApiError) && line.every(isSpace);
  for await (const piece of stream ?? []) {
    let begin = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, begin)) {
      add(piece.subarray(begin, end));
      const line = ended();
      if (!isBlank(line)) yield line;
      begin = end + 1;
    }
    if (begin < piece.byteLength) add(piece.subarray(begin));
  }
  if (size > 0) {
    const line = ended();
    if (!isBlank(line)) yield line;
  }
}

const isSpace = (byte) => byte === 32 || (byte >= 9 && byte <= 13);

const lineTooLong = () => tooLarge(`A document may have ${DOCUMENT_BYTES_MAX} bytes, and this line has more.`);
