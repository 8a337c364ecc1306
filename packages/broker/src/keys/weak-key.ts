import { createHash } from "node:crypto";
import { BrokerError } from "../broker-error.ts";

/**
 * Wrap keys that are known to everybody, as SHA-256 of the bytes at some places. They are the ones in the repository of the original
 * system (intel/confidential-computing-zoo, cczoo/tensorflow-serving-cluster/tensorflow-serving/docker): the whole one from
 * `secret_prov` and `client/files/wrap_key`, then `client/files/wrap-key` of earlier versions and `client/ssl/files/wrap_key`. Of
 * these two our source is a text in which a few bytes cannot be told, so only the others are compared: ten and eleven of sixteen.
 */
const PUBLISHED: readonly { readonly places: readonly number[]; readonly sha256: string }[] = [
  {
    places: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    sha256: "f60d62729217ea30ad6a79e6a73af9a950e640019176081cd9eaeffee6af727e",
  },
  {
    places: [0, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    sha256: "43bb592649b2df2fbfec3c27cd94743821613eb762988d0043879c5ef31d12a4",
  },
  {
    places: [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 15],
    sha256: "1a8d06fa45109b67a3311d8873759250f5a5fd5e6f709e4c8363a0c994e14ddc",
  },
];
const MIN_DISTINCT_BYTES = 8;

/**
 * Refuses a wrap key that nobody drew at random: published ones, counted ones, repeated ones, typed ones. A random key of 16
 * bytes is refused less than once in a million. Throws KEY_PUBLISHED or KEY_WEAK.
 */
export function refuseWeakKey(key: Uint8Array): void {
  if (PUBLISHED.some(({ places, sha256 }) => sha256 === digest(Uint8Array.from(places, (at) => key[at] ?? 0)))) {
    throw refused("KEY_PUBLISHED", "it is a demo key of the original system, which everybody has");
  }
  if (new Set(key).size < MIN_DISTINCT_BYTES) throw refused("KEY_WEAK", "it has too few different bytes");
  if (isProgression(key)) throw refused("KEY_WEAK", "its bytes are counted up or down");
  if (isRepeated(key)) throw refused("KEY_WEAK", "its second half repeats the first");
  if (key.every((byte) => byte >= 0x20 && byte < 0x7f)) throw refused("KEY_WEAK", "it is text that somebody typed");
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

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
