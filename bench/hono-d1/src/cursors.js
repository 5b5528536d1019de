// Cursors: opaque texts that say where the next page begins. They begin with `~`, which no id has; older ones did not.
import { invalid } from "./errors.js";
import { isId } from "./schemas.js";

const MARK = "~";

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

export function encode(...values) {
  return MARK + btoa(JSON.stringify(values)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The values of a cursor of one of these kinds: each kind with a check of what follows it. */
export function decode(text, kinds, path = "cursor") {
  const encoded = text.startsWith(MARK) ? text.slice(MARK.length) : text;
  try {
    const [kind, ...values] = JSON.parse(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")));
    if (kinds[kind]?.(...values) && encode(kind, ...values) === MARK + encoded) return [kind, ...values];
  } catch {
    // as below
  }
  throw notOfThisList(path);
}

export const notOfThisList = (path = "cursor") =>
  invalid(`${path}: This is not a cursor of this list; send one unchanged, or none.`, path);

export const CONVERSATIONS = { c: (updatedAt, id) => isCount(updatedAt) && typeof id === "string" && isId(id) };
const isPlace = (seq) => isCount(seq) && seq > 0;
export const MESSAGES = { p: isPlace, b: isPlace, a: isCount };
export const HITS = { h: (count) => isCount(count) && count <= 10_000 };
export const CHANGES = {
  r: (epoch, ...places) => typeof epoch === "string" && places.length === 4 && places.every(isCount),
};
