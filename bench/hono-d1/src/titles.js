// The title that a first message gives a conversation.
const LENGTH_MAX = 60;

const CONTROL = "\\u0000-\\u001f\\u007f-\\u009f";
// Nobody sees these: a title of them alone would look empty.
const INVISIBLE =
  "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164" +
  "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\u{e0000}-\\u{e0fff}";
// In JavaScript, unlike in Python, U+FEFF is white space.
const SPACE = "\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
// A word may have a million letters, and it is cut long before.
const WORD = new RegExp(`[^${SPACE}${CONTROL}${INVISIBLE}][^${SPACE}${CONTROL}]{0,999}`, "gu");
// One that is cut off before its end turns around whatever is shown beside the title.
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]+/gu;
// What belongs to the character before it: marks, joiners, tones of skin, tags, and later parts of a syllable.
const CONTINUES =
  /^(\p{M}|\u200c|\u200d|[\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f\u{1f3fb}-\u{1f3ff}\u{e0020}-\u{e007f}])/u;
const FLAG_LETTER = /^[\u{1f1e6}-\u{1f1ff}]/u;
const JOINER = "\u200d";

/** The first words of a content on one line, 60 characters at the most, or null where nobody would see any. */
export function titleFrom(blocks) {
  for (const block of blocks) {
    if (block.type !== "text") continue;
    const line = wordsOf(block.text).join(" ").replace(DIRECTIONS, "");
    if (line === "") continue;
    if (line.length <= LENGTH_MAX) return line;
    const characters = [...line];
    return characters.length <= LENGTH_MAX ? line : `${cut(characters, LENGTH_MAX - 3)}...`;
  }
  return null;
}

function wordsOf(text) {
  const words = [];
  for (const [word] of text.matchAll(WORD)) {
    words.push(word);
    if (words.length === LENGTH_MAX) break;
  }
  return words;
}

/** The beginning of a line, which does not end within what people see as one character, unless that is all. */
function cut(characters, length) {
  let end = length;
  while (end > 0 && isWithin(characters, end)) end -= 1;
  return characters.slice(0, end || length).join("");
}

function isWithin(characters, place) {
  if (CONTINUES.test(characters[place]) || characters[place - 1] === JOINER) return true;
  let letters = 0;
  while (letters <= place && FLAG_LETTER.test(characters[place - letters])) letters += 1;
  return letters > 0 && letters % 2 === 0;
}
