// What of a content people see: the strings in it that are searched.

const WORDS = new Set(
  "text thinking reasoning summary refusal transcript title filename errorText content parts message function custom tool_calls kwargs file action query queries commands code results outputs logs".split(
    " ",
  ),
);
const OF_TOOLS = new Set(["input", "arguments", "args", "output"]);
const WORDS_OF_FILES = new Set(["title", "filename", "file"]);
const BYTES = /^(?:data:[^\s,]*;base64,[\w+/=-]*|[\w+/=-]{200,})$/;
const ESCAPES = /(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+/g;
const JSON_CHARACTERS_MAX = 100_000;

const isObject = (value) => value !== null && typeof value === "object" && !JSON.isRawJSON(value);

/** The strings of a content that people see, in order. */
export function* visibleStrings(value) {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) for (const item of value) yield* visibleStrings(item);
  else if (isObject(value)) yield* stringsOfBlock(value);
}

function* stringsOfBlock(block) {
  const kind = typeof block.type === "string" ? block.type : "";
  if (kind === "text") return yield* visibleStrings(block.text);
  const words = kind === "image" || kind === "file" ? WORDS_OF_FILES : WORDS;
  for (const [name, value] of Object.entries(block)) {
    if (OF_TOOLS.has(name) || (name === "content" && kind.endsWith("tool_result"))) {
      yield* strings(typeof value === "string" ? unescaped(value) : value);
    } else if (words.has(name) || (name === "url" && kind === "source-url")) yield* visibleStrings(value);
    else if (name === "data" && kind.startsWith("data-")) yield* strings(value);
    else if (name === "data" && isObject(value) && !Array.isArray(value)) yield* visibleStrings(value);
  }
}

function* strings(value) {
  if (typeof value === "string") {
    if (!BYTES.test(value)) yield value;
  } else if (Array.isArray(value)) for (const item of value) yield* strings(item);
  else if (isObject(value)) {
    if (value.type === "text" && typeof value.text === "string") yield value.text;
    else if (value.type !== "image" && value.type !== "file") {
      for (const item of Object.values(value)) yield* strings(item);
    }
  }
}

/** A text that is JSON itself, with what is escaped in it as people read it. */
function unescaped(text) {
  if (!/^[{["]/.test(text)) return text;
  return text.slice(0, JSON_CHARACTERS_MAX).replace(ESCAPES, (escapes) => {
    const read = JSON.parse(`"${escapes}"`);
    return read.isWellFormed() ? read : escapes;
  });
}
