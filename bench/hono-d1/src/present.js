// Rows as they are answered.
import { parse } from "./json.js";
import { snippet, textOf } from "./search.js";

/** `prefix` is what stands before the names of columns where a row holds several things. */
export function conversationOf(row, prefix = "") {
  return {
    id: row[`${prefix}id`],
    userId: row[`${prefix}user_id`],
    title: row[`${prefix}title`],
    titleSource: row[`${prefix}title_source`],
    model: row[`${prefix}model`],
    createdAt: row[`${prefix}created_at`],
    updatedAt: row[`${prefix}updated_at`],
    messageCount: row[`${prefix}message_count`],
    isArchived: row[`${prefix}is_archived`] === 1,
    metadata: parse(row[`${prefix}metadata`]),
    version: row[`${prefix}version`],
    deletedAt: row[`${prefix}deleted_at`],
    leafId: row[`${prefix}leaf_id`],
    forkedFrom: null,
  };
}

export function messageOf(row, prefix = "") {
  const metadata = row[`${prefix}metadata`];
  return {
    id: row[`${prefix}id`],
    conversationId: row[`${prefix}conversation_id`],
    seq: row[`${prefix}seq`],
    role: row[`${prefix}sent_role`] ?? row[`${prefix}role`],
    content: parse(row[`${prefix}content`]),
    createdAt: row[`${prefix}created_at`],
    tokenCount: row[`${prefix}token_count`],
    model: row[`${prefix}model`],
    parentId: row[`${prefix}parent_id`],
    follows: row[`${prefix}seq`] - 1,
    metadata: metadata === null ? null : parse(metadata),
    version: row[`${prefix}version`],
  };
}

export function hitOf(row, terms) {
  const conversation = conversationOf(row, "c_");
  const place = { isActive: true, previousSeq: null, nextSeq: null };
  if (row.m_id === null) return { conversation, message: null, snippet: snippet(conversation.title, terms), ...place };
  const message = messageOf(row, "m_");
  if (message.seq > 1) place.previousSeq = message.seq - 1;
  if (message.seq < conversation.messageCount) place.nextSeq = message.seq + 1;
  return { conversation, message, snippet: snippet(textOf(message.content), terms), ...place };
}

const tombstoneOf = (row) => ({ id: row.c_id, deletedAt: row.c_deleted_at });

export function changesOf(rows) {
  return {
    conversations: rows
      .filter((row) => row.c_id !== null)
      .map((row) => (row.c_deleted_at === null ? conversationOf(row, "c_") : tombstoneOf(row))),
    messages: rows.filter((row) => row.m_id !== null).map((row) => messageOf(row, "m_")),
  };
}
