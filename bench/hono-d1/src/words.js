// The words of a text, as they are indexed: case folded, diacritics removed; each character a word where a script does
// not part words by spaces.
import { createHash } from "node:crypto";

const ALONE =
  "\\u1100-\\u11ff\\u2e80-\\u2fdf\\u3005-\\u3007\\u3021-\\u3029\\u3031-\\u3035\\u3041-\\u3096\\u3099-\\u309f" +
  "\\u30a1-\\u30fa\\u30fc-\\u30ff\\u3105-\\u318f\\u31a0-\\u31bf\\u31f0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff" +
  "\\ua960-\\ua97f\\uac00-\\ud7fb\\uf900-\\ufaff\\u{1aff0}-\\u{1b16f}\\u{20000}-\\u{323af}";
const WITH_SIGNS =
  "\\u0900-\\u0963\\u0966-\\u0dff\\u0e01-\\u0e3a\\u0e40-\\u0eff\\u0f18-\\u0fbc\\u1000-\\u1049\\u1050-\\u109f" +
  "\\u1780-\\u17d3\\u17dd-\\u17e9";
const WORD = new RegExp(`[${ALONE}]|(?:[[\\p{L}\\p{N}]--[${ALONE}]]|[${WITH_SIGNS}])+`, "gv");
const ASCII = /^[\x00-\x7f]*$/;
const ASCII_WORD = /[A-Za-z0-9]+/g;
// Of the signs of South and South-East Asia, only those that combine.
const SIGNS_THAT_COMBINE = "[\\u093c\\u094d\\u0e38-\\u0e3a\\u0e48-\\u0e4b]";
const MARKS = new RegExp(`[\\p{Mn}--[\\u3099\\u309a${WITH_SIGNS}]]|${SIGNS_THAT_COMBINE}`, "gv");
const WORDS_CHARACTERS_MAX = 200_000;

/** The words of a text in order. */
export function tokens(text) {
  if (ASCII.test(text)) return text.toLowerCase().match(ASCII_WORD) ?? [];
  return folded(text).match(WORD) ?? [];
}

/** The words of a text with the places where they stand in it. */
export function located(text) {
  if (ASCII.test(text)) {
    return Array.from(text.matchAll(ASCII_WORD), ({ 0: word, index }) => ({
      token: word.toLowerCase(),
      start: index,
      end: index + word.length,
    }));
  }
  let whole = "";
  const places = [];
  let place = 0;
  for (const character of text) {
    const part = foldedCharacter(character);
    for (let i = 0; i < part.length; i++) places.push([place, place + character.length]);
    whole += part;
    place += character.length;
  }
  return Array.from(whole.matchAll(WORD), ({ 0: token, index }) => ({
    token,
    start: places[index][0],
    end: places[index + token.length - 1][1],
  }));
}

// Each user's words stand in the index behind letters of their own, and in an alphabet of their own.
const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";
const alphabets = new Map();

/** The alphabet of a user: a function that writes words as the index holds them. */
export function alphabetOf(userId) {
  let write = alphabets.get(userId);
  if (write === undefined) {
    if (alphabets.size >= 1024) alphabets.clear();
    write = alphabet(userId);
    alphabets.set(userId, write);
  }
  return write;
}

function alphabet(userId) {
  const mark = markOf(userId);
  let number = BigInt(`0x${createHash("sha512").update(userId).digest("hex")}`);
  const mask = Number(number & 0xffffn) | 1;
  const left = [...LETTERS];
  const letters = new Map();
  for (const letter of LETTERS) {
    const count = BigInt(left.length);
    letters.set(letter, left.splice(Number(number % count), 1)[0]);
    number /= count;
  }
  const become = (letter) => {
    const known = letters.get(letter);
    if (known !== undefined) return known;
    const code = letter.codePointAt(0);
    const bits = code < 0x800 ? 7 : code < 0x10000 ? 11 : 16;
    const other = String.fromCodePoint(code ^ (mask & ((1 << bits) - 1)));
    letters.set(letter, other);
    return other;
  };
  return (words) => words.map((word) => mark + Array.from(word, become).join("")).join(" ");
}

function markOf(userId) {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  const bytes = createHash("sha256").update(userId).digest();
  const bits = BigInt(`0x${bytes.toString("hex", 0, 5)}`);
  return Array.from({ length: 8 }, (_, i) => letters[Number((bits >> BigInt(35 - 5 * i)) & 31n)]).join("");
}

/** The words of a text as the index holds them. */
export function indexed(text, write) {
  const words = write(tokens(text));
  if (words.length <= WORDS_CHARACTERS_MAX) return words;
  return words.slice(0, words.lastIndexOf(" ", WORDS_CHARACTERS_MAX - 1));
}

function folded(text) {
  const lower = text.normalize("NFKD").toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ");
  return lower.normalize("NFKD").replace(MARKS, "").normalize("NFC");
}

const known = new Map();

function foldedCharacter(character) {
  let result = known.get(character);
  if (result === undefined) {
    if (known.size >= 4096) known.clear();
    result = folded(character);
    known.set(character, result);
  }
  return result;
}
