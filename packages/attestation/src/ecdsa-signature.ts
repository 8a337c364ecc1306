import { readDer } from "@cloister/encoding/der";

/**
 * r then s, 32 bytes each, of an Ecdsa-Sig-Value (RFC 3279, 2.2.3) for P-256.
 * Throws `EncodingError` DER_MALFORMED; `undefined` where a number is longer than 32 bytes.
 */
export function rawEcdsaSignature(der: Uint8Array): Uint8Array | undefined {
  const outer = readDer(der);
  const fields = outer.sequence();
  outer.end();
  const r = fields.unsignedBytes();
  const s = fields.unsignedBytes();
  fields.end();
  if (r.length > 32 || s.length > 32) return undefined;
  const raw = new Uint8Array(64);
  raw.set(r, 32 - r.length);
  raw.set(s, 64 - s.length);
  return raw;
}
