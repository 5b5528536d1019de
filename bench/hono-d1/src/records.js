// From what passed the schemas to what is kept: ids, digests, titles and words.
import { ApiError, invalid, tooLarge } from "./errors.js";
import { checkMetadata, digest } from "./json.js";
import { textOf } from "./search.js";
import { titleFrom } from "./titles.js";
import { ulid } from "./ulid.js";

const MESSAGES_MAX = 1_000;
const MESSAGE_BYTES_MAX = 1_500_000;
const WORDS_OF_REQUEST_MAX = 20_000_000;

export function messageRecords(messages) {
  if (messages.length > MESSAGES_MAX) {
    throw tooLarge(`messages: At most ${MESSAGES_MAX} can be sent together.`, "messages");
  }
  const records = messages.map((message, index) => messageRecord(message, `messages[${index}]`));
  const places = new Map();
  for (const [index, { id }] of records.entries()) {
    const path = `messages[${index}].id`;
    if (places.has(id)) throw invalid(`${path}: It is also the id of messages[${places.get(id)}].`, path);
    places.set(id, index);
  }
  return records;
}

export function messageRecord(message, path = "") {
  const content = JSON.stringify(message.content);
  const given = checkMetadata(message.metadata, path ? `${path}.metadata` : "metadata");
  const metadata = given && JSON.stringify(given);
  const size = Buffer.byteLength(content) + (metadata === null ? 0 : Buffer.byteLength(metadata));
  if (size > MESSAGE_BYTES_MAX) {
    throw tooLarge(`${path || "body"}: A message may have ${MESSAGE_BYTES_MAX} bytes as JSON, not ${size}.`, path);
  }
  const { role, model = null, parentId = null, tokenCount = null } = message;
  return {
    id: message.id ?? ulid(),
    role,
    content,
    tokenCount,
    model,
    parentId,
    metadata,
    digest: digest(role, message.content, model, parentId, tokenCount, given),
    size,
    title: role === "user" ? titleFrom(message.content) : null,
    text: textOf(message.content),
  };
}

/** JSON arrays of these values, each small enough for D1. */
export function* arrays(values) {
  let part = [];
  let size = 2;
  for (const value of values) {
    const text = JSON.stringify(value);
    const bytes = Buffer.byteLength(text) + 1;
    if (part.length > 0 && size + bytes > 1_900_000) {
      yield `[${part.join(",")}]`;
      part = [];
      size = 2;
    }
    part.push(text);
    size += bytes;
  }
  if (part.length > 0) yield `[${part.join(",")}]`;
}

export function checkWords(words) {
  if (words.reduce((sum, [, text]) => sum + text.length, 0) > WORDS_OF_REQUEST_MAX) {
    throw new ApiError("too_large", "messages: There are too many words here to index at once. Send them separately.");
  }
}
