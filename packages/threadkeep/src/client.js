/**
 * The HTTP client that everything here is made of: addresses, errors, and requests that are sent again where that helps.
 */

const TRIES_MAX = 4;
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 5_000;
/** What says that the request was not handled, or that nobody knows. */
const AGAIN = new Set([429, 502, 503, 504]);
const BOOKMARK = "x-d1-bookmark";

/**
 * What Threadkeep refused, or that it could not be reached. `message` is a sentence for people; `code`, and `reason`
 * where there is one, are for programs.
 */
export class ThreadkeepError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string, details?: Record<string, any>, cause?: unknown}} [about]
   */
  constructor(message, { status = 0, code = "unavailable", details, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ThreadkeepError";
    /** The status of the response; 0 where there was none. */
    this.status = status;
    this.code = code;
    this.details = details ?? {};
  }

  /** Why a write was refused, such as `stale`; undefined where `code` says it all. @returns {string | undefined} */
  get reason() {
    return this.details.reason;
  }
}

/**
 * @typedef {object} Connection
 * @property {string} [url] Where Threadkeep is. Without it, `THREADKEEP_URL`.
 * @property {string} [key] A service key, or a user's own token. Without it, `THREADKEEP_KEY`.
 * @property {string} [user] Whose state it is, with a service key. Without it, `THREADKEEP_USER`.
 * @property {typeof fetch} [fetch] Sends the requests, instead of the global `fetch`.
 * @property {number} [timeoutMs] For so long one try waits for its answer; a minute without it.
 */

/**
 * @typedef {object} Content
 * @property {unknown} [json] The body, sent as JSON.
 * @property {Uint8Array} [bytes] The body, sent as it is.
 * @property {Record<string, string | number | boolean | undefined>} [query]
 * @property {Record<string, string>} [headers]
 * @property {boolean} [optional] Whether 404 is an answer as well, and no error.
 */

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {any} body What the JSON says, or an ArrayBuffer where it is none.
 * @property {Response} response
 * @property {boolean} repeated Whether the request was sent more than once.
 */

/** One user's Threadkeep. */
export class Client {
  #base;
  #headers;
  #fetch;
  #timeoutMs;
  #bookmark = "";

  /** @param {Connection} [connection] */
  constructor(connection = {}) {
    const environment = globalThis.process?.env ?? {};
    const url = connection.url ?? environment.THREADKEEP_URL;
    if (!url) throw new TypeError("Say where Threadkeep is: set THREADKEEP_URL, or pass `url`.");
    const key = connection.key ?? environment.THREADKEEP_KEY;
    const user = connection.user ?? environment.THREADKEEP_USER;
    this.#base = new URL(url).href.replace(/\/+$/, "");
    this.#headers = {
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...(user ? { "x-user-id": user } : {}),
    };
    this.#fetch = connection.fetch ?? ((/** @type {[any, any]} */ ...sent) => fetch(...sent));
    this.#timeoutMs = connection.timeoutMs ?? 60_000;
  }

  /**
   * Send a request, and again, up to three times, where the connection broke or the server is not there for now.
   * A write carries a name of its own, by which Threadkeep knows it when it comes again.
   *
   * @param {string} method
   * @param {readonly string[]} path The parts of the path below `/api`.
   * @param {Content} [content]
   * @returns {Promise<Answer>}
   */
  async send(method, path, { json, bytes, query = {}, headers = {}, optional = false } = {}) {
    const url = `${this.#base}/api/${path.map(encodePart).join("/")}${queryOf(query)}`;
    /** @type {Record<string, string>} */
    const sent = { ...this.#headers, ...headers };
    if (json !== undefined) sent["content-type"] = "application/json";
    if (method !== "GET") sent["idempotency-key"] = crypto.randomUUID();
    const body = json === undefined ? bytes : JSON.stringify(json);
    for (let tries = 1; ; tries += 1) {
      const outcome = await this.#try(url, { method, headers: sent, body });
      const answer = outcome instanceof ThreadkeepError ? undefined : outcome;
      if (tries < TRIES_MAX && (answer === undefined || AGAIN.has(answer.status))) {
        await pause(tries, answer?.response.headers.get("retry-after"));
        continue;
      }
      if (answer === undefined) throw outcome;
      if (answer.response.ok || (optional && answer.status === 404)) return { ...answer, repeated: tries > 1 };
      throw refusal(answer.status, answer.body);
    }
  }

  /**
   * @param {string} url
   * @param {{method: string, headers: Record<string, string>, body: any}} request
   * @returns {Promise<Omit<Answer, "repeated"> | ThreadkeepError>} An error where no whole answer came.
   */
  async #try(url, request) {
    const headers = this.#bookmark ? { ...request.headers, [BOOKMARK]: this.#bookmark } : request.headers;
    try {
      const signal = AbortSignal.timeout(this.#timeoutMs);
      const response = await this.#fetch(url, { ...request, headers, signal });
      const bookmark = response.headers.get(BOOKMARK) ?? "";
      // Answers may overtake each other, and bookmarks sort by time.
      if (bookmark > this.#bookmark) this.#bookmark = bookmark;
      const isJson = response.headers.get("content-type")?.startsWith("application/json");
      const body = isJson ? JSON.parse(await response.text()) : await response.arrayBuffer();
      return { status: response.status, body, response };
    } catch (cause) {
      const message = `Threadkeep could not be reached at ${this.#base}. See whether it runs, then repeat the request.`;
      return new ThreadkeepError(message, { cause });
    }
  }
}

/**
 * A part of a path as it stands in an address. `.` and `..` would be taken for something else there, even escaped.
 *
 * @param {string} part
 */
function encodePart(part) {
  if (part === "" || part === "." || part === ".." || !part.isWellFormed()) {
    const message = `${JSON.stringify(part)} cannot be a name: choose one with other characters.`;
    throw new ThreadkeepError(message, { status: 400, code: "invalid" });
  }
  return encodeURIComponent(part);
}

/** @param {Record<string, string | number | boolean | undefined>} query */
function queryOf(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

/**
 * @param {number} status
 * @param {any} body
 */
function refusal(status, body) {
  const { message, code, details } = body?.error ?? {};
  return new ThreadkeepError(message ?? `Threadkeep answered with the status ${status}.`, { status, code, details });
}

/**
 * Wait before the next try: as long as the server says, else twice as long as before, and not all at the same time.
 *
 * @param {number} tries
 * @param {string | null | undefined} retryAfter
 * @returns {Promise<void>}
 */
function pause(tries, retryAfter) {
  const least = Number(retryAfter) * 1_000 || 0;
  const wait = Math.max(least, FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random()));
  return new Promise((resolve) => setTimeout(resolve, Math.min(wait, PAUSE_MS_MAX)));
}
