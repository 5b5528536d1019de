// What callers may send.
import { z } from "zod";
import { invalid } from "./errors.js";

const RESERVED = [
  ...[".", "..", "changes", "export", "messages", "restore", "search", "status"],
  ...["active", "all", "archived", "deleted", "events", "import", "latest", "new"],
];
const ID = /^[A-Za-z0-9._:@-]{1,128}$/;
export const isId = (text) => ID.test(text) && !RESERVED.includes(text);
export const ID_IN_WORDS = "an id: 1 to 128 of A to Z, a to z, 0 to 9 and . _ : @ -, and no word of this API";
const LINE = /^(?!.*[\u0000-\u001f\u007f-\u009f\u2028\u2029])(?=.*\S)/s;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

const characters = (most) => (text) => text.length <= most || [...text].length <= most;
// As it is: the keys in the order in which they came.
const object = z.custom(
  (value) => value !== null && typeof value === "object" && !Array.isArray(value) && !JSON.isRawJSON(value),
  "Expected an object",
);
const id = z.string().refine(isId, `Expected ${ID_IN_WORDS}`);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const line = (most) =>
  z
    .string()
    .regex(LINE, "Expected one line of text that is not blank")
    .refine(characters(most), `At most ${most} characters`);
const role = z.enum(["user", "assistant", "system", "developer", "tool"]);

const BLOCKS = {
  text: z.looseObject({ text: z.string() }),
  thinking: z.looseObject({ thinking: z.string(), signature: z.string().nullish() }),
  tool_use: z.looseObject({
    id: z.string(),
    name: z.string(),
    input: z.unknown().refine((value) => value !== undefined, "Required"),
  }),
  tool_result: z
    .looseObject({
      toolUseId: z.string().optional(),
      tool_use_id: z.string().optional(),
      isError: z.boolean().nullish(),
      is_error: z.boolean().nullish(),
    })
    .refine(
      ({ toolUseId: ours, tool_use_id: anthropics }) =>
        (ours ?? anthropics) !== undefined && (ours ?? anthropics) === (anthropics ?? ours),
      "Name the call once, as toolUseId or as tool_use_id",
    ),
  image: z.looseObject({ source: object.nullish(), url: z.string().nullish() }),
  file: z.looseObject({ source: object.nullish(), url: z.string().nullish() }),
};

// Known types are checked, further fields and other types are kept. The values pass through as they are.
const BLOCK = z.looseObject({ type: z.string().min(1) });
const block = z.unknown().superRefine((value, context) => {
  const schema = typeof value?.type === "string" && Object.hasOwn(BLOCKS, value.type) ? BLOCKS[value.type] : BLOCK;
  for (const issue of schema.safeParse(value).error?.issues ?? []) context.addIssue({ ...issue, input: undefined });
});

const messageFields = {
  role,
  content: z.preprocess((value) => (typeof value === "string" ? [{ type: "text", text: value }] : value), z.array(block)),
  tokenCount: count.nullish(),
  model: line(200).nullish(),
  metadata: object.nullish(),
};
const isEmptyOnlyAsAnswer = [
  ({ content, role }) => content.length > 0 || role === "assistant",
  { path: ["content"], message: "Expected at least one block" },
];
const message = z
  .strictObject({ id: id.nullish(), parentId: id.nullish(), ...messageFields })
  .refine(...isEmptyOnlyAsAnswer);

export const appendOne = message;
export const appendMany = z.strictObject({
  messages: z.array(message).min(1),
  expectedMessageCount: count.nullish(),
});

const time = z.iso
  .datetime({ offset: true, local: true })
  .transform((text) => ({ text, milliseconds: Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`) }))
  .refine(({ milliseconds }) => milliseconds >= 0 && milliseconds <= 253_402_300_799_999, "A time in 1970 to 9999");

/** A document to import: what nobody knows is ignored. */
export const importDocument = z.object({
  version: z.literal(1),
  exportedAt: time.nullish(),
  conversation: z.object({
    id: z.string().nullish(),
    title: line(300).nullish(),
    model: line(200).nullish(),
    createdAt: time.nullish(),
    isArchived: z.boolean().default(false),
    metadata: object.nullish(),
    messages: z.array(
      z.object({
        id: z.string().nullish(),
        createdAt: time.nullish(),
        parentId: z.string().nullish(),
        ...messageFields,
      }),
    ),
  }),
});

const cursor = z.string().refine(characters(500)).optional();
const wholeNumber = z.string().regex(/^\d{1,16}$/, "Expected a whole number").transform(Number).pipe(count);
const limit = (most, otherwise) =>
  z.string().regex(/^\d{1,16}$/).transform(Number).pipe(z.int().min(1).max(most)).default(otherwise);

export const listQuery = z.strictObject({
  cursor,
  limit: limit(100, 20),
  archived: z
    .enum(["true", "false", "1", "0", "any"])
    .transform((text) => (text === "any" ? null : text === "true" || text === "1"))
    .default(false),
  model: line(200).optional(),
  createdAfter: wholeNumber.optional(),
  createdBefore: wholeNumber.optional(),
  metadata: z.array(z.tuple([z.string(), z.string()])).max(1).optional(),
});

/** The fields of a list, with those that ask for something in metadata as pairs. */
export function grouped(fields) {
  const names = Object.keys(fields).filter((name) => name.startsWith("metadata."));
  if (names.length === 0) return fields;
  const rest = Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
  return { ...rest, metadata: names.map((name) => [name.slice("metadata.".length), fields[name]]) };
}
export const messagesQuery = z.strictObject({ cursor, after: wholeNumber.optional(), limit: limit(200, 50) });
export const changesQuery = z.strictObject({ since: cursor, limit: limit(500, 200) });
export const searchQuery = z.strictObject({
  q: z.string().refine(characters(500)),
  role: role.optional(),
  from: wholeNumber.optional(),
  to: wholeNumber.optional(),
  cursor,
  limit: limit(100, 20),
});
export const userId = z
  .string()
  .min(1)
  .refine(characters(255))
  .refine((text) => text === text.trim() && !CONTROL.test(text) && text.isWellFormed());

/** The value as the schema makes it, or a refusal that names the place. */
export function check(schema, value) {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]] : issue.path;
  const path = place.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("").replace(/^\./, "");
  throw invalid(`${path || "body"}: ${issue.message}.`, path);
}
