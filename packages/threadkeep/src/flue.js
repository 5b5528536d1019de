/**
 * What `db.ts` of a Flue 2 project exports: submissions, conversation streams and attachments in Threadkeep.
 *
 *     import { threadkeep } from "threadkeep/flue";
 *     export default threadkeep();
 *
 * On Cloudflare, where Flue takes no `db.ts`, there is `sessionStore`.
 */

import { Attachments } from "./attachments.js";
import { Client, ThreadkeepError } from "./client.js";
import { Sessions } from "./sessions.js";
import { Streams } from "./streams.js";
import { Submissions } from "./submissions.js";

export { SessionConflict } from "./sessions.js";

const FORMAT_VERSION = ["journals", "flue.meta", "format_version"];
/** A service binding takes any host: it is the binding that says which Worker is meant. */
const BOUND = "https://threadkeep";

/** @typedef {import("./client.js").Connection} Connection */
/** @typedef {import("./submissions.js").Flue} Flue */
/** @typedef {import("@flue/runtime/adapter").PersistenceAdapter} PersistenceAdapter */
/** @typedef {import("../types/flue.js").Options} Options */
/** @typedef {import("../types/sessions.js").SessionOptions} SessionOptions */
/** @typedef {import("../types/sessions.js").SessionStore} SessionStore */

/**
 * A persistence adapter. Without options, it is where `THREADKEEP_URL`, `THREADKEEP_KEY` and `THREADKEEP_USER` say.
 *
 * @param {Options} [options]
 * @returns {PersistenceAdapter}
 */
export function threadkeep(options = {}) {
  const client = new Client(options);
  return {
    migrate: async () => stampFormat(client, await flueRuntime()),
    async connect() {
      const flue = await flueRuntime();
      await stampFormat(client, flue);
      return {
        submissionStore: new Submissions(client, flue, options),
        conversationStreamStore: new Streams(client, flue),
        attachmentStore: new Attachments(client, flue),
      };
    },
  };
}

/**
 * A store of sessions over a service binding to a Worker that is Threadkeep.
 *
 * @param {{fetch: typeof fetch}} fetcher
 * @param {Omit<Connection, "fetch"> & SessionOptions} [options]
 * @returns {SessionStore}
 */
export function sessionStore(fetcher, options = {}) {
  /** @type {typeof fetch} */
  const send = (/** @type {any} */ url, request) => fetcher.fetch(url, request);
  return new Sessions(new Client({ url: BOUND, ...options, fetch: send }), options);
}

/**
 * The project's own Flue, whose errors it knows. Imported when it is needed: whoever wants a store of sessions alone
 * may have an older one.
 *
 * @returns {Promise<Flue>}
 */
async function flueRuntime() {
  return import("@flue/runtime/adapter").catch((cause) => {
    throw new Error("Install @flue/runtime 2 beside threadkeep: npm install @flue/runtime@2", { cause });
  });
}

/**
 * Say which format of Flue's is kept here, once; refuse what another Flue has written.
 *
 * @param {Client} client
 * @param {Flue} flue
 */
async function stampFormat(client, flue) {
  const version = String(flue.FLUE_FORMAT_VERSION);
  try {
    await client.send("PUT", FORMAT_VERSION, { json: { mode: "create", head: { version }, identity: version } });
  } catch (error) {
    if (!(error instanceof ThreadkeepError && error.reason === "conflict")) throw error;
    const { body } = await client.send("GET", FORMAT_VERSION);
    flue.assertSupportedFlueFormatVersion(body.head.version);
  }
}
