/** The attachments of Flue 2: blobs. */

import { Client, ThreadkeepError } from "./client.js";

const SPACE = "flue.attachments";
/** Names of headers that `blobs` reads and answers. */
const META = "x-meta";

/** @typedef {import("./submissions.js").Flue} Flue */
/** @typedef {import("@flue/runtime/adapter").AttachmentStore} AttachmentStore */

/** @implements {AttachmentStore} */
export class Attachments {
  #client;
  #flue;

  /**
   * @param {Client} client
   * @param {Flue} flue
   */
  constructor(client, flue) {
    this.#client = client;
    this.#flue = flue;
  }

  /** @type {AttachmentStore["put"]} */
  async put({ streamPath, attachment, bytes, conversationId }) {
    const kept = this.#flue.copyAttachmentBytes(bytes);
    await this.#flue.verifyAttachmentBytes(attachment, kept);
    const meta = { conversationId, mimeType: attachment.mimeType };
    const headers = { "content-type": "application/octet-stream", [META]: asciiOf(meta) };
    try {
      await this.#client.send("PUT", pathOf(streamPath, attachment.id), { bytes: kept, headers });
    } catch (error) {
      if (!(error instanceof ThreadkeepError && error.reason === "conflict")) throw error;
      throw new this.#flue.AttachmentConflictError({ path: streamPath, attachmentId: attachment.id });
    }
  }

  /** @type {AttachmentStore["get"]} */
  async get({ streamPath, conversationId, attachmentId }) {
    const answer = await this.#client.send("GET", pathOf(streamPath, attachmentId), { optional: true });
    if (answer.status === 404) return null;
    const meta = JSON.parse(answer.response.headers.get(META) ?? "{}");
    if (meta.conversationId !== conversationId) return null;
    const bytes = new Uint8Array(answer.body);
    const digest = digestOf(answer.response.headers);
    const attachment = { id: attachmentId, mimeType: meta.mimeType, size: bytes.byteLength, digest };
    await this.#flue.verifyAttachmentBytes(attachment, bytes);
    return { attachment, bytes };
  }
}

/**
 * @param {string} streamPath
 * @param {string} attachmentId
 */
function pathOf(streamPath, attachmentId) {
  return ["blobs", SPACE, JSON.stringify([streamPath, attachmentId])];
}

/**
 * The JSON of a value in ASCII, as a header may have it.
 *
 * @param {unknown} value
 */
function asciiOf(value) {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * SHA-256 in hexadecimal, as `Content-Digest` (RFC 9530) says it in base64.
 *
 * @param {Headers} headers
 */
function digestOf(headers) {
  const [, base64] = /sha-256=:([^:]*):/.exec(headers.get("content-digest") ?? "") ?? [];
  const bytes = atob(base64 ?? "");
  return Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
