// A Worker that keeps sessions over a service binding, and returns what each call of its store returned.

import { sessionStore } from "./threadkeep/src/flue.js";

export default {
  async fetch(request, env) {
    const { options, calls } = await request.json();
    const store = sessionStore(env.THREADKEEP, options);
    const answers = [];
    for (const [method, ...given] of calls) {
      try {
        answers.push({ returned: (await store[method](...given)) ?? null });
      } catch (error) {
        answers.push({ failed: error.name, message: error.message });
      }
    }
    return Response.json(answers);
  },
};
