// Sends requests with autocannon. Reads jobs from standard input, and answers each, with a line of JSON:
// {"url", "connections", "requests": [{"method", "path", "headers", "body"}, …]} gives {"latencies": […], "seconds"}
// in milliseconds, or {"error"}. Every request is sent once; each connection has its share of them.
import { createInterface } from "node:readline";
import autocannon from "autocannon";

const TIMEOUT_SECONDS = 120;

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await measure(JSON.parse(line)).catch((error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function measure({ url, connections, requests }) {
  return new Promise((resolve, reject) => {
    const latencies = [];
    let refusal;
    let taken = 0;
    const began = performance.now();
    let ended = began;
    const instance = autocannon(
      {
        url,
        connections,
        amount: requests.length,
        timeout: TIMEOUT_SECONDS,
        bailout: 1, // after one that is not answered, instead of trying again
        sampleInt: 10,
        skipAggregateResult: true,
        requests: [requests[0]],
        // The amount is shared out as autocannon does it: the first connections have one more.
        setupClient(client) {
          const begin = taken;
          taken += client.opts.responseMax;
          client.setRequests(requests.slice(begin, begin + client.opts.responseMax));
        },
      },
      (error, result) => {
        if (error) reject(error);
        else if (refusal) resolve({ error: refusal });
        else if (result.errors > 0) resolve({ error: `${result.errors} requests were not answered` });
        else resolve({ latencies, seconds: (ended - began) / 1000 });
      },
    );
    instance.on("response", (client, status, bytes, milliseconds) => {
      latencies.push(milliseconds);
      ended = performance.now();
      if (status < 200 || status > 299) refusal ??= `it answers ${status}`;
    });
  });
}
