/**
 * A store of sessions, as Flue has it: save, load and delete, and `saveDelta`.
 *
 * A session is a journal: its head is the session without its entries, and its entries are the entries. So a turn sends
 * what is new, however long the session is.
 */

import { Client, ThreadkeepError } from "./client.js";
import { textOf, unwrapped } from "./json.js";
import { apart, isTextHead, markOf, together, withoutEntries } from "./session-parts.js";

const SPACE = "flue.sessions";
/** What one append may have. */
const ENTRIES_MAX = 1_000;
/** Threadkeep takes 8 MiB; a half surrogate and a quotation mark are longer in a wrapper. */
const CHARACTERS_MAX = 2_000_000;
/** How often a write is made again after another writer came first. */
const ROUNDS_MAX = 10;
/** Of so many sessions it is known what is kept. Of others it is read first. */
const KNOWN_MAX = 500;

/** @typedef {import("../types/sessions.js").SessionDelta} SessionDelta */
/** @typedef {import("../types/sessions.js").SessionOptions} SessionOptions */
/** @typedef {import("./session-parts.js").Entry} Entry */
/** @typedef {import("./session-parts.js").Parts} Parts */
/** @typedef {{id?: string, seq: number, mark: string}} KnownEntry */

/**
 * What is kept of a session, as far as a writer has to know it.
 *
 * @typedef {object} Known
 * @property {number} version
 * @property {any} head Without its entries.
 * @property {KnownEntry[]} [entries] Left out where another writer may have changed them.
 * @property {boolean} isText Whether it is kept as a text, in parts.
 */

/** Another writer has saved the session since it was loaded here. */
export class SessionConflict extends ThreadkeepError {
  /** @param {string} id */
  constructor(id) {
    const message = `The session ${id} was saved by another writer since. Load it again, then repeat the change.`;
    super(message, { status: 412, code: "stale", details: { reason: "stale" } });
    this.name = "SessionConflict";
  }
}

/** The sessions of one user. */
export class Sessions {
  #client;
  #refusesConflicts;
  /** @type {Map<string, Known>} */
  #known = new Map();
  /** @type {Map<string, Promise<unknown>>} */
  #writes = new Map();

  /**
   * @param {Client} client
   * @param {SessionOptions} [options]
   */
  constructor(client, { conflict = "overwrite" } = {}) {
    this.#client = client;
    this.#refusesConflicts = conflict === "error";
  }

  /**
   * Keep a session as it is now. Only what differs from what is kept is sent. Where another writer has saved it
   * meanwhile, the last one wins, or with `conflict: "error"` this one is told so.
   *
   * @param {string} id
   * @param {any} data
   * @returns {Promise<void>}
   */
  save(id, data) {
    const parts = apart(data);
    return this.#inTurn(id, async () => {
      let known = this.#known.get(id);
      if (!known?.entries) known = this.#refusesConflicts ? nothing() : await this.#read(id);
      for (let round = 1; ; round += 1) {
        try {
          return await this.#write(id, parts, known);
        } catch (error) {
          this.#check(id, error, round);
          known = await this.#read(id);
        }
      }
    });
  }

  /**
   * Keep what has changed in a session: entries that are new, entries that are gone, and all that is not entries.
   * Writers of deltas do not remove each other's entries.
   *
   * @param {string} id
   * @param {SessionDelta} delta
   * @returns {Promise<void>}
   */
  saveDelta(id, delta) {
    const { newEntries = [], removedEntryIds = [], ...header } = delta;
    return this.#inTurn(id, async () => {
      const known = this.#known.get(id) ?? (this.#refusesConflicts ? nothing() : await this.#read(id));
      const parts = apart({ ...known.head, ...header, entries: newEntries });
      if (known.isText || parts.isText) return this.#saveDeltaOfText(id, delta);
      try {
        const { version, kept } = await this.#append(id, parts.entries, {
          remove: removedEntryIds,
          expected: this.#refusesConflicts ? known.version : undefined,
          create: true,
          last: { head: parts.head, sort: parts.sort },
        });
        const isAlone = known.entries && version === known.version + grouped(parts.entries).length;
        const stay = known.entries?.filter(({ id: each }) => each === undefined || !removedEntryIds.includes(each)) ?? [];
        const entries = isAlone ? { entries: [...stay, ...kept] } : {};
        this.#remember(id, { version, head: parts.whole, isText: false, ...entries });
      } catch (error) {
        this.#check(id, error, ROUNDS_MAX);
      }
    });
  }

  /**
   * Keep what has changed in a session that is one text: it is read, changed and written whole.
   *
   * @param {string} id
   * @param {SessionDelta} delta
   */
  async #saveDeltaOfText(id, { newEntries = [], removedEntryIds = [], ...header }) {
    for (let round = 1; ; round += 1) {
      const { head, rows } = await this.#rows(id);
      const session = head === undefined ? {} : together(head, rows);
      const stay = (session.entries ?? []).filter((/** @type {any} */ entry) => !removedEntryIds.includes(entry.id));
      const known = this.#known.get(id) ?? nothing();
      try {
        return await this.#write(id, apart({ ...session, ...header, entries: [...stay, ...newEntries] }), known);
      } catch (error) {
        this.#check(id, error, round);
      }
    }
  }

  /**
   * Raise an error after which it makes no sense to try again.
   *
   * @param {string} id
   * @param {unknown} error
   * @param {number} round
   */
  #check(id, error, round) {
    this.#known.delete(id);
    if (!isStale(error)) throw error;
    if (this.#refusesConflicts) throw new SessionConflict(id);
    if (round >= ROUNDS_MAX) throw error;
  }

  /**
   * The session, or null where there is none.
   *
   * @param {string} id
   * @returns {Promise<any>}
   */
  load(id) {
    return this.#inTurn(id, async () => {
      const { head, rows } = await this.#rows(id);
      // A head of null is that of a first save that did not get to its end.
      return head === undefined || head === null ? null : together(head, rows);
    });
  }

  /**
   * Delete a session. Where there is none, nothing is to be done.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  delete(id) {
    return this.#inTurn(id, async () => {
      this.#known.delete(id);
      await this.#client.send("DELETE", ["journals", SPACE, id]);
    });
  }

  /**
   * Let the calls for a session follow each other, so that each knows what the one before has kept.
   *
   * @template T
   * @param {string} id
   * @param {() => Promise<T>} write
   * @returns {Promise<T>}
   */
  #inTurn(id, write) {
    const before = this.#writes.get(id) ?? Promise.resolve();
    const done = before.then(write, write);
    this.#writes.set(id, done);
    const forget = () => {
      if (this.#writes.get(id) === done) this.#writes.delete(id);
    };
    done.then(forget, forget);
    return done;
  }

  /**
   * Write a session over what is known of it: cut at the first entry that differs, and append the rest.
   *
   * @param {string} id
   * @param {Parts} parts
   * @param {Known} known
   */
  async #write(id, parts, known) {
    const before = known.entries ?? [];
    let same = 0;
    while (same < before.length && before[same]?.mark === parts.entries[same]?.mark) same += 1;
    const { version, kept } = await this.#append(id, parts.entries.slice(same), {
      cut: before[same]?.seq,
      expected: known.version,
      create: known.version === 0,
      last: { head: parts.head, sort: parts.sort },
    });
    const entries = [...before.slice(0, same), ...kept];
    this.#remember(id, { version, head: parts.whole, isText: parts.isText, entries });
  }

  /**
   * Append entries: in one write, or in several where they are too many. The first one removes what is to go, and the
   * last one sets the head, which names the entries.
   *
   * @param {string} id
   * @param {Entry[]} entries
   * @param {{remove?: readonly string[], cut?: number, expected?: number, create: boolean, last: {head: any, sort: string}}} how
   */
  async #append(id, entries, { remove, cut, expected, create, last }) {
    const groups = grouped(entries);
    /** @type {KnownEntry[]} */
    const kept = [];
    let version = 0;
    for (const [place, group] of groups.entries()) {
      const json = {
        entries: group.map((entry) => ({ id: entry.id, data: entry.data })),
        create,
        ...(place === 0 ? { remove, cut, expected } : { expected: expected === undefined ? undefined : version }),
        ...(place === groups.length - 1 ? last : {}),
      };
      const { body } = await this.#client.send("POST", ["journals", SPACE, id, "entries"], { json });
      version = body.version;
      kept.push(...group.map((entry, index) => ({ id: entry.id, seq: body.first + index, mark: entry.mark })));
    }
    return { version, kept };
  }

  /**
   * What is kept of a session.
   *
   * @param {string} id
   * @returns {Promise<Known>}
   */
  async #read(id) {
    const { head } = await this.#rows(id);
    return head === undefined ? nothing() : /** @type {Known} */ (this.#known.get(id));
  }

  /**
   * All entries of a session, in parts of a megabyte. Begins again where somebody wrote meanwhile.
   *
   * @param {string} id
   * @returns {Promise<{head: any, rows: any[]}>} The head as it is kept; undefined where there is no session.
   */
  async #rows(id) {
    for (let round = 1; ; round += 1) {
      const found = await this.#rowsOnce(id, round === ROUNDS_MAX);
      if (found) return found;
    }
  }

  /**
   * @param {string} id
   * @param {boolean} isLastRound
   * @returns {Promise<{head: any, rows: any[]} | undefined>} Undefined where it has to be read again.
   */
  async #rowsOnce(id, isLastRound) {
    /** @type {any[]} */
    const rows = [];
    /** @type {any} */
    let first;
    /** @type {string | undefined} */
    let cursor;
    do {
      const query = { limit: ENTRIES_MAX, cursor, head: cursor === undefined };
      const path = ["journals", SPACE, id, "entries"];
      const answer = await this.#client.send("GET", path, { query, optional: true }).catch((error) => {
        if (error.code !== "cursor_expired" || isLastRound) throw error;
      });
      if (answer === undefined) return undefined;
      if (answer.status === 404) {
        this.#known.delete(id);
        return first === undefined ? { head: undefined, rows: [] } : undefined;
      }
      const page = answer.body;
      first ??= page.journal;
      if (page.journal.version !== first.version && !isLastRound) return undefined;
      rows.push(...page.entries);
      cursor = page.more ? page.nextCursor : undefined;
    } while (cursor !== undefined);
    this.#remember(id, {
      version: first.version,
      head: first.head?.entries === null ? withoutEntries(first.head) : {},
      isText: isTextHead(first.head),
      entries: rows.map((row) => ({ id: row.id, seq: row.seq, mark: markOf(textOf(unwrapped(row.data))) })),
    });
    return { head: first.head, rows };
  }

  /**
   * @param {string} id
   * @param {Known} known
   */
  #remember(id, known) {
    this.#known.delete(id);
    this.#known.set(id, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }
}

/**
 * Entries in groups that one append takes; one group, even if it has nothing.
 *
 * @param {Entry[]} entries
 */
function grouped(entries) {
  /** @type {Entry[][]} */
  const groups = [[]];
  let characters = 0;
  for (const entry of entries) {
    const group = /** @type {Entry[]} */ (groups.at(-1));
    characters += entry.characters;
    if (group.length > 0 && (group.length === ENTRIES_MAX || characters > CHARACTERS_MAX)) {
      groups.push([entry]);
      characters = entry.characters;
    } else {
      group.push(entry);
    }
  }
  return groups;
}

/** @returns {Known} */
function nothing() {
  return { version: 0, head: {}, isText: false, entries: [] };
}

/**
 * Whether a write was meant for another version: one that another writer has made, or removed.
 *
 * @param {any} error
 */
function isStale(error) {
  return error instanceof ThreadkeepError && (error.reason === "stale" || error.code === "not_found");
}
