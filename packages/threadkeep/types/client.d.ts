/** Where Threadkeep is, and whose state is kept there. */
export interface Connection {
  /** Where Threadkeep is. Without it, `THREADKEEP_URL`. */
  url?: string;
  /** A service key, or a user's own token. Without it, `THREADKEEP_KEY`. */
  key?: string;
  /** Whose state it is, with a service key. Without it, `THREADKEEP_USER`. */
  user?: string;
  /** Sends the requests, instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** For so long one try waits for its answer; a minute without it. */
  timeoutMs?: number;
}

/** The body and the headers of a request. */
export interface Content {
  /** The body, sent as JSON. */
  json?: unknown;
  /** The body, sent as it is. */
  bytes?: Uint8Array;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** Whether 404 is an answer as well, and no error. */
  optional?: boolean;
}

export interface Answer {
  status: number;
  /** What the JSON says, or an ArrayBuffer where it is none. */
  body: any;
  response: Response;
  /** Whether the request was sent more than once. */
  repeated: boolean;
}

/** One user's Threadkeep. */
export class Client {
  constructor(connection?: Connection);
  /**
   * Send a request, and again, up to three times, where the connection broke or the server is not there for now. A write
   * carries a name of its own, by which Threadkeep knows it when it comes again.
   *
   * `path` has the parts of the path below `/api`. Throws a `ThreadkeepError`.
   */
  send(method: string, path: readonly string[], content?: Content): Promise<Answer>;
}

/** What Threadkeep refused, or that it could not be reached. */
export class ThreadkeepError extends Error {
  constructor(
    message: string,
    about?: { status?: number; code?: string; details?: Record<string, any>; cause?: unknown },
  );
  /** The status of the response; 0 where there was none. */
  status: number;
  code: string;
  details: Record<string, any>;
  /** Why a write was refused, such as `stale`; undefined where `code` says it all. */
  get reason(): string | undefined;
}
