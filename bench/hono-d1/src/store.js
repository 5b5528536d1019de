// What is kept of one user: each method is one batch of statements, all or none.
import * as cursors from "./cursors.js";
import { arrays, checkWords } from "./records.js";
import { ApiError, noConversation } from "./errors.js";
import { matchOf } from "./search.js";
import { isId } from "./schemas.js";
import * as sql from "./statements.js";
import { ulid } from "./ulid.js";
import { indexed, markOf } from "./tokenizer.js";

const BEYOND = Number.MAX_SAFE_INTEGER - 1;
const LIST_BYTES_MAX = 1_000_000;
const LOOKED_AT_MAX = 1_000;
const LITERAL = /^(?:-?[0-9][0-9.eE+-]*|true|false)$/;

export class Store {
  /** `run` takes statements, [sql, ...parameters], and answers the rows of each. */
  constructor(run, userId) {
    this.run = run;
    this.userId = userId;
    this.mark = markOf(userId);
  }

  async append(id, records, expected = null) {
    const user = this.userId;
    const now = Date.now();
    const ids = JSON.stringify(records.map((record) => [record.id, record.digest]));
    const words = this.words(records);
    checkWords(words);
    const title = records.find((record) => record.title)?.title ?? null;
    const [conversations, known, ...rest] = await this.run([
      [sql.CONVERSATION_BY_ID, user, id],
      [sql.KNOWN_MESSAGES, user, ids],
      ...Array.from(arrays(records.map(rowOf)), (part) => [sql.INSERT_MESSAGES, user, id, ids, part, now, expected]),
      [sql.COUNT_MESSAGES, user, id, now, title],
      ...this.index(words, title ? [[id, title]] : []),
      [sql.BUMP_REV, user],
      [sql.RECEIPTS, user, ids],
      [sql.CONVERSATION_BY_ID, user, id],
    ]);
    if (conversations.length === 0) throw noConversation(id);
    const digests = new Map(records.map((record) => [record.id, record.digest]));
    const conflicts = known.filter((row) => row.conversation_id !== id || row.digest !== digests.get(row.id));
    if (conflicts.length > 0) {
      throw new ApiError(
        "conflict",
        "These ids are taken by other messages, with other content or in another conversation. Send each message under an id of its own.",
        { ids: conflicts.map((row) => row.id).sort() },
      );
    }
    const isNew = known.length < records.length;
    const count = conversations[0].message_count;
    if (isNew && expected !== null && expected !== count) {
      throw new ApiError(
        "stale",
        `The conversation has ${count} messages, not ${expected}. Read it again, then repeat the request.`,
        { messageCount: count },
      );
    }
    const receipts = new Map(rest.at(-2).map((row) => [row.id, row]));
    return { receipts: records.map((record) => receipts.get(record.id)), conversation: rest.at(-1)[0], isNew };
  }

  async messages(id, { cursor, after, limit }) {
    const user = this.userId;
    const forward = [sql.MESSAGES_AFTER, true];
    const backward = [sql.MESSAGES_BEFORE, false];
    let [query, isForward] = after === undefined ? backward : forward;
    let seq = after ?? BEYOND;
    let places = [];
    if (cursor !== undefined && isId(cursor)) {
      const found = await this.run([
        [sql.CONVERSATION_BY_ID, user, id],
        [sql.SEQ_OF_MESSAGE, user, id, cursor],
      ]);
      if (found[0].length === 0) throw noConversation(id);
      places = found[1];
    }
    if (places.length > 0) {
      seq = places[0].seq;
    } else if (cursor !== undefined) {
      const [kind, place] = cursors.decode(cursor, cursors.MESSAGES);
      [query, isForward] = kind === "a" ? forward : backward;
      seq = Math.min(place, BEYOND);
    }
    const [conversations, rows] = await this.run([
      [sql.CONVERSATION_BY_ID, user, id],
      [query, user, id, Math.min(seq, BEYOND), limit],
    ]);
    if (conversations.length === 0) throw noConversation(id);
    const hasMore = rows.length > 0 && rows.length < rows[0].listed;
    const end = isForward ? ["a", rows.at(-1)?.seq] : ["p", rows[0]?.seq];
    return { conversation: conversations[0], rows, nextCursor: hasMore ? cursors.encode(...end) : null };
  }

  async conversations({ cursor, limit, archived, model, createdAfter, createdBefore, metadata }) {
    const user = this.userId;
    let place = [BEYOND, "~"];
    let places = [];
    if (cursor !== undefined && isId(cursor)) [places] = await this.run([[sql.PLACE_OF_CONVERSATION, user, cursor]]);
    if (places.length > 0) {
      place = [places[0].updated_at, cursor];
    } else if (cursor !== undefined) {
      place = cursors.decode(cursor, cursors.CONVERSATIONS).slice(1);
    }
    const filters = [model, createdAfter, createdBefore, metadata];
    const isFiltered = archived === null || filters.some((each) => each !== undefined);
    const [name, value] = metadata?.[0] ?? [];
    const [key, text] = [`${JSON.stringify(name)}:`, JSON.stringify(value)];
    const until = [Math.min(place[0], BEYOND), place[1]];
    const looked = [user, archived === true ? 0 : 1, archived === false ? 0 : 1, ...until, createdAfter ?? -1];
    const [rows, owners, ends] = await this.run([
      isFiltered
        ? [
            sql.LIST_FILTERED,
            ...looked,
            createdBefore ?? BEYOND,
            model ?? null,
            metadata ? key + text : null,
            LITERAL.test(value ?? "") ? key + value : null,
            limit,
          ]
        : [sql.LIST_CONVERSATIONS, user, archived ? 1 : 0, ...until, limit],
      ...(cursor === undefined || isFiltered ? [[sql.OWNER, user]] : []),
      ...(isFiltered ? [[sql.LAST_LOOKED_AT, ...looked]] : []),
    ]);
    let bytes = 0;
    let kept = 0;
    for (const row of rows.slice(0, limit)) {
      bytes += 500 + 4 * row.title.length + row.metadata.length;
      if (kept > 0 && bytes > LIST_BYTES_MAX) break;
      kept++;
    }
    const end = ends?.[0]?.looked === LOOKED_AT_MAX ? ends[0] : null;
    const last = kept < rows.length ? rows[kept - 1] : end;
    return {
      // The statement finds what is written anywhere in metadata.
      rows: rows.slice(0, kept).filter((row) => !metadata || has(row.metadata, name, value)),
      nextCursor: last && cursors.encode("c", last.updated_at, last.id),
      ...(cursor === undefined && { changes: endOf(owners[0]) }),
    };
  }

  async changes(since, limit) {
    const user = this.userId;
    if (since === undefined) {
      const [owners] = await this.run([[sql.OWNER, user]]);
      return { rows: [], next: endOf(owners[0]), hasMore: false };
    }
    const place = since === "0" ? ["r", "", 0, 0, 0, 0] : cursors.decode(since, cursors.CHANGES, "since");
    const [, epoch, rev, kind, n] = place;
    const [owners, rows] = await this.run([
      [sql.OWNER, user],
      [sql.CHANGES, user, rev, kind, n, limit],
    ]);
    const floor = follow(place, owners[0] ?? NOBODY);
    const hasMore = rows.length > 0 && rows.length < rows[0].listed;
    const last = rows.at(-1);
    const next = hasMore
      ? cursors.encode("r", owners[0]?.epoch ?? epoch, last.rev, last.kind, last.n, floor)
      : endOf(owners[0]);
    return { rows, next, hasMore };
  }

  async search(terms, { role = null, from = 0, to = BEYOND, cursor, limit }) {
    const skip = cursor === undefined ? 0 : cursors.decode(cursor, cursors.HITS)[1];
    if (terms.length === 0) return { rows: [], nextCursor: null };
    const match = matchOf(terms, this.mark);
    const [rows] = await this.run([
      [sql.SEARCH, this.userId, match, role, Math.min(from, BEYOND), Math.min(to, BEYOND), limit, skip],
    ]);
    const count = skip + rows.length;
    const hasMore = rows.length > 0 && rows.length < rows[0].listed && count <= 10_000;
    return { rows, nextCursor: hasMore ? cursors.encode("h", count) : null };
  }

  /** Keeps conversations with their messages; answers for each whether its id is taken by another document. */
  async import(records) {
    const user = this.userId;
    const messages = records.flatMap((record) => record.messages);
    const conversations = [...arrays(records.map(({ messages, ...row }) => row))];
    const [, ...rest] = await this.run([
      [sql.ENSURE_OWNER, user, ulid()],
      ...conversations.map((part) => [sql.KNOWN_CONVERSATIONS, user, part]),
      ...conversations.map((part) => [sql.IMPORT_CONVERSATIONS, user, part]),
      ...Array.from(arrays(messages.map(rowOf)), (part) => [sql.IMPORT_MESSAGES, user, part]),
      ...this.index(
        this.words(messages),
        records.filter((record) => record.titleSource !== "default").map((record) => [record.id, record.title]),
      ),
      [sql.BUMP_REV, user],
    ]);
    const known = new Map(rest.slice(0, conversations.length).flat().map((row) => [row.id, row]));
    return records.map(({ id, digest }) => {
      const row = known.get(id);
      return row !== undefined && (row.deleted_at !== null || row.digest !== digest);
    });
  }

  words(records) {
    return records.map((record) => [record.id, indexed(record.text, this.mark)]).filter(([, words]) => words !== "");
  }

  /** The statements that index messages by their words, and titles of conversations. */
  index(words, titles) {
    const rows = titles.map(([id, title]) => [id, title, indexed(title, this.mark)]).filter((row) => row[2] !== "");
    const [wordParts, titleParts] = [[...arrays(words)], [...arrays(rows)]];
    return Array.from({ length: Math.max(wordParts.length, titleParts.length) }, (_, i) => [
      sql.INDEX_WORDS,
      this.userId,
      wordParts[i] ?? "[]",
      titleParts[i] ?? "[]",
    ]);
  }
}

const rowOf = ({ title, text, ...row }) => row;

const NOBODY = { epoch: "", rev: 0, floor: 0 };

const endOf = (owner = NOBODY) => cursors.encode("r", owner.epoch, owner.rev, 4, BEYOND, owner.floor);

/** The floor that a reader at this cursor has to mind. Fails where the reader has missed that something went. */
function follow([, epoch, rev, , , floor], owner) {
  if (rev === 0 && (epoch === "" || epoch === owner.epoch)) return owner.floor;
  if (epoch !== owner.epoch || rev > owner.rev || (rev < owner.floor && floor !== owner.floor)) {
    throw new ApiError("cursor_expired", "This cursor has expired: it is too old, or everything was erased since. Start again with since=0.");
  }
  return floor;
}

/** Whether metadata has this value under this name: a string, or a number or a boolean as it is written. */
function has(text, name, value) {
  const metadata = JSON.parse(text);
  if (!Object.hasOwn(metadata, name)) return false;
  const found = metadata[name];
  if (typeof found === "string") return found === value;
  const written = JSON.stringify(name) + ":" + value;
  return LITERAL.test(value) && found === JSON.parse(value) && [",", "}"].some((next) => text.includes(written + next));
}
