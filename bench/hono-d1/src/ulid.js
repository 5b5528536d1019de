// ULIDs: 48 bits of time and 80 of entropy, in Crockford base32.

const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export function ulid(time = Date.now()) {
  let text = "";
  for (let rest = time, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) text = LETTERS[rest % 32] + text;
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) text += LETTERS[byte & 31];
  return text;
}

/** The ULID that 16 bytes are. */
export function ulidOf(bytes) {
  let value = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let i = 0; i < 26; i++, value >>= 5n) text = LETTERS[Number(value & 31n)] + text;
  return text;
}
