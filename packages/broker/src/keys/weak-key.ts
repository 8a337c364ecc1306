import { createHash } from "node:crypto";
import { BrokerError } from "../broker-error.ts";

/**
 * SHA-256 of wrap keys that are known to everybody: the one that the original system ships five times in its repository. Its
 * second demo key is not listed, because our sources do not give its value.
 */
const PUBLISHED: ReadonlySet<string> = new Set(["f60d62729217ea30ad6a79e6a73af9a950e640019176081cd9eaeffee6af727e"]);
const MIN_DISTINCT_BYTES = 8;

/**
 * Refuses a wrap key that nobody drew at random: published ones, counted ones, repeated ones, typed ones. A random key of 16
 * bytes is refused less than once in a million. Throws KEY_PUBLISHED or KEY_WEAK.
 */
export function refuseWeakKey(key: Uint8Array): void {
  if (PUBLISHED.has(createHash("sha256").update(key).digest("hex"))) {
    throw refused("KEY_PUBLISHED", "it is a demo key of the original system, which everybody has");
  }
  if (new Set(key).size < MIN_DISTINCT_BYTES) throw refused("KEY_WEAK", "it has too few different bytes");
  if (isProgression(key)) throw refused("KEY_WEAK", "its bytes are counted up or down");
  if (isRepeated(key)) throw refused("KEY_WEAK", "its second half repeats the first");
  if (key.every((byte) => byte >= 0x20 && byte < 0x7f)) throw refused("KEY_WEAK", "it is text that somebody typed");
}

function isProgression(key: Uint8Array): boolean {
  const step = ((key[1] ?? 0) - (key[0] ?? 0)) & 0xff;
  return key.every((byte, i) => i === 0 || ((byte - (key[i - 1] ?? 0)) & 0xff) === step);
}

function isRepeated(key: Uint8Array): boolean {
  const half = key.length / 2;
  return key.every((byte, i) => i < half || byte === key[i - half]);
}

function refused(code: "KEY_PUBLISHED" | "KEY_WEAK", why: string): BrokerError {
  return new BrokerError(code, { what: "the key was refused", why, remedy: "let the broker make one: keys create" });
}
