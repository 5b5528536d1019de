// JSON that keeps numbers to the digit, as JSON.parse alone would not, and one form of it to compare by.
import { createHash } from "node:crypto";
import { invalid, tooLarge } from "./errors.js";

const NESTING_MAX = 100;
// What a plain JSON.parse might change, or let through though it should not: looked for before paying for a reviver.
const MAY_CHANGE = /\d\.\d|\d[eE][+-]?\d|\d{16}|\\u[dD][89a-fA-F]/;

/** Parses JSON. A number that JavaScript cannot give back as it was written is kept as its source. */
export function parse(text) {
  return MAY_CHANGE.test(text) ? JSON.parse(text, keepSource) : JSON.parse(text);
}

/** Parses the text of a body: JSON that is not nested too deep, of whole characters. */
export function parseBody(bytes, nestingMax = NESTING_MAX) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid("The text is not UTF-8.");
  }
  checkNesting(text, nestingMax);
  try {
    return parse(text);
  } catch (error) {
    throw invalid(`body: This is not JSON: ${error.message}.`);
  }
}

function keepSource(key, value, { source }) {
  if (typeof value === "number" && String(value) !== source) return JSON.rawJSON(source);
  if (!key.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) {
    throw new SyntaxError("a string holds half of a character");
  }
  return value;
}

function checkNesting(text, most) {
  let depth = 0;
  let deepest = 0;
  let brackets = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5b || code === 0x7b) brackets++;
  }
  if (brackets <= most) return;
  for (const [bracket] of text.replace(/"(?:[^"\\]|\\.)*"?/gs, "").matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  if (deepest > most) throw invalid(`The JSON is nested more than ${most} levels deep.`);
}

/** SHA-256, in hexadecimal, of values in canonical JSON: keys sorted, and one form of each number. */
export function digest(...values) {
  return createHash("sha256").update(JSON.stringify(sorted(values))).digest("hex");
}

function sorted(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(sorted);
  if (JSON.isRawJSON(value)) return sameNumber(value.rawJSON);
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** 1.0, 1e0 and 1 are the same number. What a double cannot tell apart is compared by its digits. */
function sameNumber(source) {
  const [, sign, whole, fraction = "", exponentText = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source);
  let digits = whole + fraction;
  const trailing = digits.length - digits.replace(/0+$/, "").length;
  const exponent = Number(exponentText) - fraction.length + trailing;
  digits = digits.replace(/^0+|0+$/g, "");
  if (digits === "") return 0;
  const number = Number(source);
  if (digits.length <= 15 && Number.isFinite(number) && number !== 0) return number;
  return JSON.rawJSON(`${sign}${digits}e${exponent}`);
}

/** Metadata as an object; null where there is none. Names with NUL in them are cut by SQLite, and refused. */
export function checkMetadata(value, path, bytesMax = 16 * 1024) {
  if (value === undefined || value === null) return null;
  if (Buffer.byteLength(JSON.stringify(value)) > bytesMax) {
    throw tooLarge(`${path}: Metadata may have ${bytesMax} bytes as JSON.`, path);
  }
  if (hasNulInKey(value)) throw invalid(`${path}: The names in metadata must not contain NUL.`, path);
  return value;
}

function hasNulInKey(value) {
  if (Array.isArray(value)) return value.some(hasNulInKey);
  if (value === null || typeof value !== "object" || JSON.isRawJSON(value)) return false;
  return Object.entries(value).some(([key, item]) => key.includes("\0") || hasNulInKey(item));
}
