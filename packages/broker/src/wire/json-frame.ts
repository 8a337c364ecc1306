import { concatBytes, fromUtf8, utf8 } from "@cloister/encoding";
import {
  canonicalJson,
  type CanonicalJsonInput,
  type JsonValue,
  parseCanonicalJson,
} from "@cloister/encoding/canonical-json";
import { BrokerError } from "../broker-error.ts";
import type { ByteStream } from "./byte-stream.ts";

/** A message of ours behind Gramine's application hook: 32-bit big-endian length and canonical JSON. */
export function encodeJsonFrame(value: CanonicalJsonInput): Uint8Array {
  const body = utf8(canonicalJson(value));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, body.length);
  return concatBytes(length, body);
}

/**
 * Reads one message of at most `maxBytes`; undefined when the peer ends instead.
 * Throws MESSAGE_TOO_LARGE, MESSAGE_MALFORMED or MESSAGE_TRUNCATED.
 */
export async function readJsonFrame(stream: ByteStream, maxBytes: number): Promise<JsonValue | undefined> {
  const header = await stream.readOrEnd(4);
  if (header === undefined) return undefined;
  const length = new DataView(header.buffer, header.byteOffset, 4).getUint32(0);
  if (length === 0 || length > maxBytes)
    throw refuse("MESSAGE_TOO_LARGE", `its length is not between 1 and ${maxBytes}`);
  const text = fromUtf8(await stream.read(length));
  if (text === undefined) throw refuse("MESSAGE_MALFORMED", "it is not UTF-8");
  try {
    return parseCanonicalJson(text, { maxLength: maxBytes, maxDepth: 8 });
  } catch (error) {
    throw refuse("MESSAGE_MALFORMED", "it is not canonical JSON", error);
  }
}

function refuse(code: "MESSAGE_TOO_LARGE" | "MESSAGE_MALFORMED", why: string, cause?: unknown): BrokerError {
  return new BrokerError(
    code,
    { what: "a message of the peer was refused", why, remedy: "use the same version on both sides" },
    { cause },
  );
}
