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
// Letters of Latin alphabets that Unicode does not decompose, by what people type who do not have them.
const PLAIN = new Map(
  Object.entries({
    a: "ⱥ", b: "ƀƃɓ", c: "ƈȼ", d: "đðƌɖɗ", e: "ɇɛ", f: "ƒ", g: "ǥɠ", h: "ħɦⱨ", i: "ıɨ", j: "ȷɉ", k: "ƙⱪꝁĸ", l: "łƚɫⱡ",
    m: "ɱ", n: "ŋƞɲ", o: "øɵɔ", p: "ƥᵽ", q: "ɋ", r: "ɍɽ", s: "ȿʂ", t: "ŧƫƭʈⱦ", u: "ʉ", v: "ʋ", w: "ⱳ", y: "ƴɏ",
    z: "ƶȥⱬ", ae: "æ", oe: "œ", th: "þ",
  }).flatMap(([plain, letters]) => [...letters].map((letter) => [letter, plain])),
);
const NOT_PLAIN = new RegExp(`[${[...PLAIN.keys()].join("")}]`, "gv");
// What shapes or parts a word and is not seen.
const UNSEEN = new RegExp(
  "[\\u00ad\\u034f\\u061c\\u0640\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200c-\\u200f" +
    "\\u202a-\\u202e\\u2060-\\u2064\\u2066-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\u{e0000}-\\u{e0fff}]",
  "gv",
);
// What may become one with the character before it: a mark, or a part of a syllable of Hangul.
const JOINS = /^[\p{M}\u1160-\u11ff\ud7b0-\ud7fb]/v;

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
  for (const cluster of clusters(text)) {
    const part = foldedCharacter(cluster);
    for (let i = 0; i < part.length; i++) places.push([place, place + cluster.length]);
    whole += part;
    place += cluster.length;
  }
  return Array.from(whole.matchAll(WORD), ({ 0: token, index }) => ({
    token,
    start: places[index][0],
    end: places[index + token.length - 1][1],
  }));
}

// Each user's words stand in the index behind letters of their own.
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const marks = new Map();

/** The letters of a user. */
export function markOf(userId) {
  let mark = marks.get(userId);
  if (mark === undefined) {
    if (marks.size >= 1024) marks.clear();
    const bytes = createHash("sha256").update(userId).digest();
    const bits = BigInt(`0x${bytes.toString("hex", 0, 5)}`);
    mark = Array.from({ length: 8 }, (_, i) => LETTERS[Number((bits >> BigInt(35 - 5 * i)) & 31n)]).join("");
    marks.set(userId, mark);
  }
  return mark;
}

/** Words as they stand in the index. */
export const marked = (words, mark) => words.map((word) => mark + word).join(" ");

/** The words of a text as they stand in the index. */
export function indexed(text, mark) {
  const words = marked(tokens(text), mark);
  if (words.length <= WORDS_CHARACTERS_MAX) return words;
  return words.slice(0, words.lastIndexOf(" ", WORDS_CHARACTERS_MAX - 1));
}

function folded(text) {
  const lower = text.normalize("NFKD").toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ");
  const unmarked = lower.normalize("NFKD").replace(MARKS, "").replace(UNSEEN, "");
  return unmarked.replace(NOT_PLAIN, (letter) => PLAIN.get(letter)).normalize("NFC");
}

/** Characters, each with what is joined to it. */
function* clusters(text) {
  let cluster = "";
  for (const character of text) {
    if (cluster !== "" && (character < "\x80" || !JOINS.test(character.normalize("NFKD")))) {
      yield cluster;
      cluster = "";
    }
    cluster += character;
  }
  if (cluster !== "") yield cluster;
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
