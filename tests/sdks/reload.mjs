// An app of the AI SDK whose page is reloaded in mid-answer, on two devices. `node reload.mjs THREADKEEP MAPPING`, where
// THREADKEEP is the address of a Threadkeep and MAPPING a module with the lines of docs/shapes.md. Its headers are in
// THREADKEEP_HEADERS. It prints what each device shows in the end, what it had shown before the reload, and what is kept.
import { createServer } from "node:http";
import { createOpenAI } from "@ai-sdk/openai";
import {
  AbstractChat,
  createUIMessageStreamResponse,
  DefaultChatTransport,
  generateId,
  readUIMessageStream,
  streamText,
  toUIMessageStream,
} from "ai";

const [threadkeep, mapping] = process.argv.slice(2);
const { store, load } = await import(mapping);
const headers = JSON.parse(process.env.THREADKEEP_HEADERS);
const chatId = `chat-${generateId()}`;
const words = Array.from({ length: 60 }, (_, index) => `word${index} `);
words[20] = "🦉 ";
const half = words.length / 2;

async function keep(method, path, body, options = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { ...headers, "content-type": "application/json" } };
  const response = await fetch(`${threadkeep}${path}`, { method, headers, ...sent, ...options });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

// Server-Sent Events, and again where an answer ends before `isOver` says so.
async function* follow(path, isOver) {
  let last = {};
  while (!isOver()) {
    const response = await keep("GET", path, undefined, { headers: { ...headers, ...last } });
    let text = "";
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (text + piece).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
        if (fields.id !== undefined) last = { "last-event-id": fields.id };
        if (fields.data !== undefined) yield { name: fields.event, data: JSON.parse(fields.data) };
        if (isOver()) return;
      }
    }
  }
}

// The model: it stops after half of its answer, until it may go on.
let goOn;
const mayGoOn = new Promise((resolve) => { goOn = resolve; });
const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`)));
const model = createServer(async (request, response) => {
  for await (const _ of request);
  let number = 0;
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: number++ })}\n\n`);
  const whole = { id: "resp_1", object: "response", created_at: 1795000000, status: "completed", model: "gpt-of-the-tests", output: [], usage: { input_tokens: 3, input_tokens_details: { cached_tokens: 0 }, output_tokens: 60, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 63 } };
  const place = { output_index: 0, item_id: "msg_1" };
  const item = { type: "message", id: "msg_1", role: "assistant", status: "completed", content: [] };
  response.writeHead(200, { "content-type": "text/event-stream" });
  send({ type: "response.created", response: { ...whole, status: "in_progress" } });
  send({ type: "response.output_item.added", output_index: 0, item });
  for (const [index, delta] of words.entries()) {
    if (index === half) await mayGoOn;
    send({ type: "response.output_text.delta", ...place, content_index: 0, delta });
  }
  send({ type: "response.output_item.done", output_index: 0, item: { ...item, content: [{ type: "output_text", text: words.join(""), annotations: [] }] } });
  send({ type: "response.completed", response: whole });
  response.end();
});
const openai = createOpenAI({ baseURL: `${await listen(model)}/v1`, apiKey: "none" });

// The app's own server. What it answers, and what it keeps, are two readers of one stream: neither ends with the other.
async function answer({ id, messages }) {
  const asked = messages.at(-1);
  await keep("PUT", `/api/conversations/${id}`, { messages: [store(asked)] });
  const draft = await (await keep("POST", `/api/conversations/${id}/drafts`, { id: generateId(), role: "assistant" })).json();
  const { stream } = streamText({ model: openai("gpt-of-the-tests"), prompt: asked.parts[0].text, maxRetries: 0 });
  const [shown, kept] = toUIMessageStream({ stream, generateMessageId: () => draft.id }).tee();
  keepAnswer(draft, kept).catch((error) => { console.error(error); process.exit(1); });
  return createUIMessageStreamResponse({ stream: shown });
}

async function keepAnswer(draft, stream) {
  const [chunks, folded] = stream.tee();
  const last = (async () => {
    let message;
    for await (message of readUIMessageStream({ stream: folded }));
    return message;
  })();
  const lines = new ReadableStream({
    async start(controller) {
      const line = (value) => controller.enqueue(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
      for await (const chunk of chunks) line({ event: chunk });
      line({ settle: "complete", content: store(await last).content });
      controller.close();
    },
  });
  const options = { body: lines, duplex: "half", headers: { ...headers, "content-type": "application/x-ndjson" } };
  await keep("POST", `/api/drafts/${draft.id}/stream?fence=${draft.fence}`, undefined, options);
}

async function resume(id) {
  const { drafts } = await (await keep("GET", `/api/conversations/${id}/drafts`)).json();
  if (drafts.length === 0) return new Response(null, { status: 204 });
  let isSettled = false;
  const stream = new ReadableStream({
    async start(controller) {
      for await (const { name, data } of follow(`/api/drafts/${drafts[0].id}/events`, () => isSettled)) {
        if (name === "settled") isSettled = true;
        else if (name === "part") for (const op of data.ops) controller.enqueue(op.event);
      }
      controller.close();
    },
  });
  return createUIMessageStreamResponse({ stream });
}

const app = createServer(async (request, response) => {
  try {
    let body = "";
    for await (const piece of request) body += piece;
    const answered = request.method === "POST" ? await answer(JSON.parse(body)) : await resume(request.url.split("/").at(-2));
    response.writeHead(answered.status, Object.fromEntries(answered.headers));
    for await (const piece of answered.body ?? []) response.write(piece);
    response.end();
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
const api = `${await listen(app)}/api/chat`;

async function keptMessages() {
  const response = await fetch(`${threadkeep}/api/conversations/${chatId}/messages`, { headers });
  if (response.status !== 404 && !response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.status === 404 ? [] : (await response.json()).messages.map(load);
}

// A page: what `useChat` is made of, with its state in plain fields.
class Page extends AbstractChat {
  constructor(messages) {
    const state = {
      status: "ready",
      error: undefined,
      messages,
      pushMessage: (message) => { state.messages = [...state.messages, message]; },
      popMessage: () => { state.messages = state.messages.slice(0, -1); },
      replaceMessage: (index, message) => { state.messages = state.messages.with(index, structuredClone(message)); },
      snapshot: (value) => structuredClone(value),
    };
    const leaving = new AbortController();
    const leave = (url, options) => fetch(url, { ...options, signal: AbortSignal.any([leaving.signal, ...(options.signal ? [options.signal] : [])]) });
    super({ id: chatId, state, transport: new DefaultChatTransport({ api, fetch: leave }), onError: (error) => { if (!leaving.signal.aborted) { console.error(error); process.exit(1); } } });
    this.leave = () => leaving.abort();
  }
  static async open() {
    return new Page(await keptMessages());
  }
  // A draft that ends takes its parts along: whoever had not yet been sent the last ones shows what is kept then.
  async resume() {
    await this.resumeStream();
    this.streamed = this.text;
    this.messages = await keptMessages();
  }
  get text() {
    return this.messages.filter(({ role }) => role === "assistant").flatMap(({ parts }) => parts).map(({ text }) => text ?? "").join("");
  }
}
const until = async (isSo) => { while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10)); };
const shown = ({ messages, status, streamed }) => ({ status, streamed, messages: messages.map(({ id, role, parts }) => ({ id, role, text: parts.map(({ text }) => text ?? "").join("") })) });

// The other device follows what happens, and shows an answer as soon as it hears of one.
let other, ready, isHeard = false;
const isReady = new Promise((resolve) => { ready = resolve; });
const hearing = (async () => {
  const started = await (await keep("GET", "/api/conversations/changes")).json();
  ready();
  for await (const { data } of follow(`/api/conversations/changes/stream?since=${started.next}`, () => isHeard)) {
    if (data.drafts?.some((draft) => draft.conversationId === chatId && draft.state === "streaming")) {
      isHeard = true;
      other = await Page.open();
      return other.resume();
    }
  }
})();
await isReady;

const before = await Page.open();
const sending = before.sendMessage({ text: "Say sixty words." });
const stump = words.slice(0, half).join("");
await until(() => before.text === stump && other?.text === stump);
before.leave();
await sending;
const after = await Page.open();
const resuming = after.resume();
await until(() => after.text === stump);
const early = { before: shown(before), after: shown(after), other: shown(other) };
goOn();
await Promise.all([resuming, hearing]);
const again = await Page.open();
await again.resume();
const kept = await (await keep("GET", `/api/conversations/${chatId}/messages`)).json();
console.log(JSON.stringify({ stump, whole: words.join(""), early, after: shown(after), other: shown(other), again: shown(again), kept }));
process.exit(0);
