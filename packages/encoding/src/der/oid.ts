import { derMalformed } from "./malformed.ts";

const MAX_OID_BYTES = 64;

/** Slots of the memory below, a power of two. */
const SLOTS = 512;

interface Known {
  readonly content: Uint8Array;
  readonly text: string;
}

/**
 * Identifiers read before, by a hash of their bytes. Certificates repeat some thirty of them. The bytes are compared, so a
 * collision costs time and nothing else, and the memory does not grow.
 */
const known: (Known | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

/**
 * Dotted text of the content of an OBJECT IDENTIFIER (X.690, 8.19), the bytes from `start` to `end`.
 * Throws `EncodingError` DER_MALFORMED where arcs are not minimal, too large or cut off.
 */
export function oidText(bytes: Uint8Array, start: number, end: number): string {
  let hash = end - start;
  for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) & (SLOTS - 1);
  const found = known[hash];
  if (found !== undefined && isSame(found.content, bytes, start, end)) return found.text;
  const content = bytes.slice(start, end);
  const text = decode(content);
  known[hash] = { content, text };
  return text;
}

function isSame(content: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (content.length !== end - start) return false;
  for (let index = 0; index < content.length; index += 1) {
    if (content[index] !== bytes[start + index]) return false;
  }
  return true;
}

function decode(content: Uint8Array): string {
  if (content.length === 0 || content.length > MAX_OID_BYTES) {
    throw derMalformed("an OBJECT IDENTIFIER is empty or too long");
  }
  let text = "";
  let arc = 0;
  let open = false;
  for (const byte of content) {
    if (!open && byte === 0x80) throw derMalformed("an arc of an OBJECT IDENTIFIER is not minimal");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw derMalformed("an arc of an OBJECT IDENTIFIER is too large");
    open = byte >= 0x80;
    if (open) continue;
    text += text === "" ? firstArcs(arc) : `.${arc}`;
    arc = 0;
  }
  if (open) throw derMalformed("an OBJECT IDENTIFIER ends inside an arc");
  return text;
}

/** The first two arcs share one number (X.690, 8.19.4). */
function firstArcs(joint: number): string {
  const top = Math.min(2, Math.floor(joint / 40));
  return `${top}.${joint - top * 40}`;
}
