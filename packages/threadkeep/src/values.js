/** Values of any size, and all the entries of a journal. */

import { Client, ThreadkeepError } from "./client.js";
import { textOf, unwrapped, wrapped } from "./json.js";

/** Of what is too large for where it belongs: a head has at most a megabyte, and a note a quarter of that. */
const SPACE = "flue.values";
const CHARACTERS_MAX = 60_000;
/** An append has at most 8 MiB, and a character at most 3 bytes. */
const PART_CHARACTERS_MAX = 2_500_000;
const PAGE = 1_000;

/**
 * Keep a value; return what is to stand in its place: its JSON, `true` where that is kept apart, or undefined.
 *
 * @param {Client} client
 * @param {readonly string[]} name
 * @param {unknown} value
 * @returns {Promise<string | true | undefined>}
 */
export async function keep(client, name, value) {
  if (value === undefined) return undefined;
  const text = textOf(value);
  if (text.length <= CHARACTERS_MAX) return text;
  const path = ["journals", SPACE, JSON.stringify(name), "entries"];
  for (let from = 0; from < text.length; from += PART_CHARACTERS_MAX) {
    const data = wrapped(text.slice(from, from + PART_CHARACTERS_MAX));
    await client.send("POST", path, { json: { create: true, cut: from === 0 ? 0 : undefined, entries: [{ data }] } });
  }
  return true;
}

/**
 * The value that was kept.
 *
 * @param {Client} client
 * @param {readonly string[]} name
 * @param {string | true} kept
 * @returns {Promise<any>}
 */
export async function valueOf(client, name, kept) {
  if (kept !== true) return JSON.parse(kept);
  const rows = await entriesOf(client, SPACE, JSON.stringify(name));
  return JSON.parse(rows.map((row) => unwrapped(row.data)).join(""));
}

/**
 * All entries of a journal after a place; none where there is no journal.
 *
 * @param {Client} client
 * @param {string} space
 * @param {string} key
 * @param {number} [after]
 * @returns {Promise<any[]>}
 */
export async function entriesOf(client, space, key, after = -1) {
  /** @type {any[]} */
  const rows = [];
  for (let from = after; ; from = rows.at(-1).seq) {
    const query = { limit: PAGE, after: from < 0 ? undefined : from };
    const { status, body } = await client.send("GET", ["journals", space, key, "entries"], { query, optional: true });
    if (status === 404) return [];
    rows.push(...body.entries);
    if (!body.more) return rows;
  }
}

/**
 * Append an entry at a place; return whether that was free. A journal that is not there is created if so asked.
 *
 * @param {Client} client
 * @param {string} space
 * @param {string} key
 * @param {{at: number, data: any, create?: boolean}} entry
 * @returns {Promise<boolean | undefined>} Undefined where there is no journal.
 */
export async function appendAt(client, space, key, { at, data, create = false }) {
  const json = { at, create, entries: [{ data }] };
  try {
    const { status, repeated } = await client.send("POST", ["journals", space, key, "entries"], { json });
    // Sent once and known all the same, it is what was there before.
    return status === 201 || repeated;
  } catch (error) {
    if (!(error instanceof ThreadkeepError)) throw error;
    if (error.status === 404) return undefined;
    if (error.status === 409) return false;
    throw error;
  }
}
