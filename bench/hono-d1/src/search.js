// What of a message is searched, what a query asks for, and the piece of text that shows why it was found.
import { invalid } from "./errors.js";
import { located, marked, tokens } from "./tokenizer.js";
import { visibleStrings } from "./visible.js";

const TEXT_CHARACTERS_MAX = 16_000;
const TERMS_MAX = 32;
const WORDS_OF_QUERY_MAX = 512;
const SNIPPET_BEFORE = 60;
const SNIPPET_MAX = 200;

/** What of a content is searched: the first characters of what people see of it. */
export function textOf(blocks) {
  const parts = [];
  let size = 0;
  for (const part of visibleStrings(blocks)) {
    parts.push(part);
    size += part.length + 1;
    if (size > 2 * TEXT_CHARACTERS_MAX) break;
  }
  const text = parts.join("\n");
  if (text.length <= TEXT_CHARACTERS_MAX) return text;
  return [...text.slice(0, 2 * TEXT_CHARACTERS_MAX)].slice(0, TEXT_CHARACTERS_MAX).join("");
}

/** Words, and phrases in double quotes; of signs alone, none. Everything must be found; the last may be a prefix. */
export function parseQuery(text) {
  if (text.trim() === "") throw invalid("q: There is no word in this query; type at least one letter or digit.", "q");
  const terms = [];
  let endsInWord = false;
  for (const [number, part] of text.split('"').entries()) {
    const isPhrase = number % 2 === 1;
    for (const piece of isPhrase ? [part] : part.split(/\s+/)) {
      const found = tokens(piece);
      if (found.length > 0) {
        endsInWord = !isPhrase;
        terms.push({ tokens: found, isPrefix: false });
      }
    }
  }
  if (terms.length > TERMS_MAX) {
    throw invalid(`q: A query may have ${TERMS_MAX} words and phrases; search for fewer.`, "q");
  }
  if (terms.reduce((sum, term) => sum + term.tokens.length, 0) > WORDS_OF_QUERY_MAX) {
    throw invalid(`q: A query may have ${WORDS_OF_QUERY_MAX} words in all; search for fewer.`, "q");
  }
  if (endsInWord) terms.at(-1).isPrefix = true;
  return terms;
}

/** The query in the syntax of FTS5. */
export function matchOf(terms, mark) {
  return terms.map((term) => `"${marked(term.tokens, mark)}"${term.isPrefix ? "*" : ""}`).join(" ");
}

/** The piece of a text around the first match, in parts that say whether they match. */
export function snippet(text, terms) {
  const words = located(text);
  const matches = [];
  for (const [index, word] of words.entries()) {
    if (matches.length > 0 && word.start > matches[0][0] + SNIPPET_MAX) break;
    for (const term of terms) {
      if (!startsAt(words, index, term)) continue;
      const end = words[index + term.tokens.length - 1].end;
      const last = matches.at(-1);
      if (last && word.start < last[1]) last[1] = Math.max(last[1], end);
      else matches.push([word.start, end]);
    }
  }
  const first = matches[0]?.[0] ?? 0;
  let begin = first <= SNIPPET_BEFORE ? 0 : text.lastIndexOf(" ", first - SNIPPET_BEFORE) + 1;
  begin = whole(text, Math.max(begin, first - 2 * SNIPPET_BEFORE));
  const end = whole(text, Math.min(text.length, begin + SNIPPET_MAX));
  const parts = [];
  let place = begin;
  for (const [start, stop] of matches) {
    if (start >= end) break;
    if (start > place) {
      parts.push({ text: text.slice(place, start), match: false });
      place = start;
    }
    if (stop > place) {
      parts.push({ text: text.slice(place, Math.min(stop, end)), match: true });
      place = Math.min(stop, end);
    }
  }
  if (place < end) parts.push({ text: text.slice(place, end), match: false });
  return parts;
}

/** The same place, or the one before it where that would cut a character in half. */
function whole(text, place) {
  const code = text.charCodeAt(place);
  return code >= 0xdc00 && code <= 0xdfff ? place - 1 : place;
}

function startsAt(words, index, term) {
  const last = index + term.tokens.length - 1;
  if (last >= words.length) return false;
  for (let i = index; i < last; i++) if (words[i].token !== term.tokens[i - index]) return false;
  const token = term.tokens.at(-1);
  return term.isPrefix ? words[last].token.startsWith(token) : words[last].token === token;
}
