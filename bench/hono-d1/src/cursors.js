// Cursors: opaque texts that say where the next page begins.
import { invalid } from "./errors.js";

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

export function encode(...values) {
  return btoa(JSON.stringify(values)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The values of a cursor of one of these kinds: each kind with a check of what follows it. */
export function decode(text, kinds, path = "cursor") {
  try {
    const [kind, ...values] = JSON.parse(atob(text.replaceAll("-", "+").replaceAll("_", "/")));
    if (kinds[kind]?.(...values) && encode(kind, ...values) === text) return [kind, ...values];
  } catch {
    // as below
  }
  throw notOfThisList(path);
}

export const notOfThisList = (path = "cursor") =>
  invalid(`${path}: This is not a cursor of this list; send one unchanged, or none.`, path);

export const CONVERSATIONS = { c: (updatedAt, id) => isCount(updatedAt) && typeof id === "string" && id.length === 26 };
export const MESSAGES = { b: (seq) => isCount(seq) && seq > 0, a: isCount };
export const HITS = { h: (count) => isCount(count) && count <= 10_000 };
export const CHANGES = {
  r: (epoch, ...places) => typeof epoch === "string" && places.length === 4 && places.every(isCount),
};
