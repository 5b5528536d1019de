// Ways to look at what is sent, and to lose what is answered.

/** A `fetch` that counts what is sent: `requests`, and `characters` of bodies. */
export function counting() {
  const sent = async (url, request) => {
    sent.requests += 1;
    sent.characters += request.body?.length ?? 0;
    return fetch(url, request);
  };
  return Object.assign(sent, { requests: 0, characters: 0 });
}

/** A `fetch` of which every third answer is lost, after the server has done what it was asked to do. */
export function losing(whenLost = () => {}) {
  const sent = async (url, request) => {
    sent.requests += 1;
    const response = await fetch(url, request);
    if (sent.requests % 3 !== 0) return response;
    await response.arrayBuffer();
    sent.lost += 1;
    whenLost();
    throw new TypeError("the connection was lost");
  };
  return Object.assign(sent, { requests: 0, lost: 0 });
}

/** Numbers from 0 to below 1 that are the same each time. */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
