import { concatBytes, type Secret, toHex, utf8 } from "@cloister/encoding";
import type { SecretEncoding } from "@cloister/policy";
import { BrokerError } from "../broker-error.ts";
import { MAX_SECRET_BYTES } from "./gramine.ts";

const WRAP_KEY_BYTES = 16;

/**
 * The bytes of a secret as that generation of Gramine takes it. The caller wipes them after sending.
 *
 * | encoding | client | bytes |
 * | --- | --- | --- |
 * | raw16 | Gramine 1.3 and later | the key |
 * | hexNul | Graphene to Gramine 1.2 | 32 lower-case hex digits and a NUL |
 * | text | any, as SECRET_PROVISION_SECRET_STRING | the text and a NUL |
 *
 * Throws KEY_FORM_MISMATCH when the secret does not have the form: a stock client would take it without a word or exit.
 */
export function encodeSecret(secret: Secret, encoding: SecretEncoding): Uint8Array {
  const bytes = secret.reveal();
  if (encoding === "text") {
    if (bytes.length === 0 || bytes.length >= MAX_SECRET_BYTES || bytes.includes(0)) {
      throw mismatch("a string secret has 1 to 4095 bytes and no NUL");
    }
    return concatBytes(bytes, Uint8Array.of(0));
  }
  if (bytes.length !== WRAP_KEY_BYTES) throw mismatch("a wrap key has 16 bytes");
  return encoding === "raw16" ? bytes.slice() : utf8(`${toHex(bytes)}\0`);
}

function mismatch(why: string): BrokerError {
  return new BrokerError("KEY_FORM_MISMATCH", {
    what: "the secret was not released",
    why,
    remedy: "name another key, or another encoding for the workload, in the policy",
  });
}
