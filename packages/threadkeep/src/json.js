/**
 * Values that JSON can say and Threadkeep's JSON cannot: half a surrogate, as a text has that was cut, and very deep
 * nesting. They are sent as `{"$json": "<their JSON>"}`, and come back as they were.
 */

/** Threadkeep takes 100 levels, and what is around a value has a few of them. */
const LEVELS_MAX = 90;
/** In JSON, which says it by an escape. A backslash in front of that would only be a text about one. */
const hasHalfSurrogate = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

/**
 * A value as it is sent: itself, or wrapped.
 *
 * @param {any} value
 * @param {string} [text] Its JSON, where that is known already.
 * @returns {any}
 */
export function wrapped(value, text = textOf(value)) {
  return isWrapped(value) || hasHalfSurrogate.test(text) || isDeeper(value, LEVELS_MAX) ? { $json: text } : value;
}

/**
 * The value that was sent.
 *
 * @param {any} kept
 * @returns {any}
 */
export function unwrapped(kept) {
  return isWrapped(kept) ? JSON.parse(kept.$json) : kept;
}

/**
 * Whether it is a wrapper, and not a value itself.
 *
 * @param {any} kept
 */
export function isWrapped(kept) {
  return typeof kept?.$json === "string" && Object.keys(kept).length === 1;
}

/**
 * The JSON of a value; `null` of what JSON has no word for.
 *
 * @param {unknown} value
 */
export function textOf(value) {
  return JSON.stringify(value) ?? "null";
}

/**
 * @param {any} value
 * @param {number} levels
 * @returns {boolean}
 */
function isDeeper(value, levels) {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}
