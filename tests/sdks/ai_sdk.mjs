// What the AI SDK makes of the answers of `provider.py`: UIMessages, as `useChat` has them, how they are stored, and
// whether they come back. `node ai_sdk.mjs URL MAPPING`, where MAPPING is a module with the lines of docs/shapes.md.
import { deepStrictEqual } from "node:assert";
import { createOpenAI } from "@ai-sdk/openai";
import {
  createUIMessageStream,
  dynamicTool,
  jsonSchema,
  readUIMessageStream,
  stepCountIs,
  streamText,
  tool,
  toUIMessageStream,
  validateUIMessages,
} from "ai";

const [url, mapping] = process.argv.slice(2);
const { store, load } = await import(mapping);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
let count = 0;
const generateId = () => `msg-${++count}`;
const schema = jsonSchema({ type: "object", properties: { city: { type: "string" } } });
const tools = {
  get_weather: tool({
    description: "The weather.",
    inputSchema: schema,
    execute: async ({ city }) => ({ place: city, report: ["overcast", { wind: "breezy" }], degrees: 11 }),
  }),
};

const asked = {
  id: generateId(),
  role: "user",
  parts: [
    { type: "text", text: "How is the weather in Nürnberg?" },
    { type: "file", mediaType: "image/png", filename: "skyline.png", url: "data:image/png;base64,iVBORw0KGgo=" },
  ],
};
const answered = createUIMessageStream({
  originalMessages: [asked],
  generateId,
  execute: ({ writer }) => {
    writer.write({ type: "start" });
    writer.write({ type: "data-sighting", id: "sighting-1", data: { creature: "heron", count: 2 } });
    writer.write({ type: "source-document", sourceId: "doc-1", mediaType: "application/pdf", title: "Climate dossier", filename: "dossier.pdf" });
    const result = streamText({
      model: openai("gpt-of-the-tests"),
      prompt: "How is the weather in Nürnberg?",
      tools,
      stopWhen: stepCountIs(3),
      maxRetries: 0,
    });
    writer.merge(toUIMessageStream({ stream: result.stream, sendReasoning: true, sendSources: true, sendStart: false }));
  },
});
async function read(stream) {
  let last;
  for await (const message of readUIMessageStream({ stream })) last = message;
  // The SDK draws these by chance.
  for (const part of last.parts) if (part.type === "source-url") part.sourceId = "source-1";
  return last;
}

// A tool of which nobody knows the type, and which fails.
const failing = streamText({
  model: openai("gpt-of-the-tests"),
  prompt: "Again?",
  tools: {
    get_weather: dynamicTool({
      description: "The weather.",
      inputSchema: schema,
      execute: async () => {
        throw new Error("The anemometer is jammed");
      },
    }),
  },
  stopWhen: stepCountIs(1),
  maxRetries: 0,
});
const failed = toUIMessageStream({ stream: failing.stream, generateMessageId: generateId, onError: (error) => error.message });
const messages = [asked, await read(answered), await read(failed)];
const stored = JSON.parse(JSON.stringify(messages.map(store)));
const loaded = stored.map(load);
deepStrictEqual(loaded, JSON.parse(JSON.stringify(messages)));
await validateUIMessages({ messages: loaded });
console.log(JSON.stringify(stored, null, 2));
