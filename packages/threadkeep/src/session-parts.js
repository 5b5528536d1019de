/**
 * A session taken apart: into a head, which is all but its entries, and entries.
 *
 * What is no session with entries of unique ids is a head alone. What Threadkeep's JSON cannot say, or what is too large
 * for a head, is the text of its JSON, in parts, below the head `{"$json": null}`. Rows of sessions are moved in the same
 * form (`agents/journals/rows.py` in the server).
 */

import { isWrapped, textOf, unwrapped, wrapped } from "./json.js";

const NAME_BYTES_MAX = 512;
const hasControl = /[\u0000-\u001f\u007f-\u009f]/;
/** A head has at most a megabyte, and a character at most 3 bytes. */
const HEAD_CHARACTERS_MAX = 300_000;
const PART_CHARACTERS_MAX = 200_000;
const isFirstHalf = /[\ud800-\udbff]$/;

/** @typedef {{id?: string, data: any, mark: string, characters: number}} Entry */
/**
 * @typedef {object} Parts
 * @property {any} whole All but its entries; empty where it is not taken apart.
 * @property {any} head The same as it is sent.
 * @property {Entry[]} entries
 * @property {string} sort What lists of sessions are sorted by.
 * @property {boolean} isText Whether the entries are parts of a text.
 */

/**
 * Take a session apart.
 *
 * @param {any} data
 * @returns {Parts}
 */
export function apart(data) {
  if (!hasEntries(data)) {
    const isOurs = data?.entries === null || Object.keys(Object(data)).join() === "$json";
    const head = isOurs ? undefined : plainHead(data ?? null);
    return head === undefined ? asText(data) : { whole: {}, head, entries: [], sort: sortOf(data), isText: false };
  }
  const whole = withoutEntries(data);
  const head = plainHead({ ...data, entries: null });
  if (head === undefined) return asText(data);
  const entries = data.entries.map((/** @type {any} */ entry) => {
    const text = textOf(entry);
    return { id: entry.id, data: wrapped(entry, text), mark: markOf(text), characters: text.length };
  });
  return { whole, head, entries, sort: sortOf(data), isText: false };
}

/**
 * The session of what is kept.
 *
 * @param {any} head
 * @param {readonly {data: any}[]} rows
 * @returns {any}
 */
export function together(head, rows) {
  if (isTextHead(head)) return JSON.parse(rows.map((row) => row.data).join(""));
  return head?.entries === null ? { ...head, entries: rows.map((row) => unwrapped(row.data)) } : head;
}

/**
 * Whether what is below this head are parts of a text.
 *
 * @param {any} head
 */
export function isTextHead(head) {
  return head !== null && typeof head === "object" && head.$json === null && Object.keys(head).length === 1;
}

/**
 * All of a session but its entries.
 *
 * @param {any} session
 */
export function withoutEntries(session) {
  const { entries: _, ...whole } = Object(session);
  return whole;
}

/**
 * What tells texts apart: their length, and two hashes (FNV-1a, from two beginnings) of 32 bits.
 *
 * @param {string} text
 */
export function markOf(text) {
  let one = 0x811c9dc5;
  let other = 0x01000193;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ (unit + index), 0x01000193);
  }
  return `${text.length}.${one >>> 0}.${other >>> 0}`;
}

/**
 * A value as a head; undefined where it cannot be one.
 *
 * @param {any} value
 */
function plainHead(value) {
  const text = textOf(value);
  return text.length > HEAD_CHARACTERS_MAX || isWrapped(wrapped(value, text)) ? undefined : value;
}

/**
 * @param {any} data
 * @returns {Parts}
 */
function asText(data) {
  const text = textOf(data);
  /** @type {Entry[]} */
  const entries = [];
  for (let from = 0; from < text.length; ) {
    let part = text.slice(from, from + PART_CHARACTERS_MAX);
    if (isFirstHalf.test(part)) part = part.slice(0, -1);
    entries.push({ data: part, mark: markOf(textOf(part)), characters: part.length });
    from += part.length;
  }
  return { whole: {}, head: { $json: null }, entries, sort: sortOf(data), isText: true };
}

/**
 * Lists of sessions are sorted by when they were last changed.
 *
 * @param {any} head
 * @returns {string}
 */
function sortOf(head) {
  const { updatedAt } = head ?? {};
  return typeof updatedAt === "string" && updatedAt.length <= 64 ? updatedAt : "";
}

/** @param {any} data */
function hasEntries(data) {
  if (typeof data !== "object" || data === null || !Array.isArray(data.entries)) return false;
  const ids = data.entries.map((/** @type {any} */ entry) => entry?.id);
  return ids.every(isName) && new Set(ids).size === ids.length;
}

/**
 * Whether Threadkeep takes it as the id of an entry.
 *
 * @param {unknown} id
 */
function isName(id) {
  if (typeof id !== "string" || id === "" || hasControl.test(id) || !id.isWellFormed()) return false;
  return new TextEncoder().encode(id).length <= NAME_BYTES_MAX;
}
