import { DER_TAG, readDer } from "@cloister/encoding/der";

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

/** The Ecdsa-Sig-Value of r then s, 32 bytes each: the form that OpenSSL takes without a conversion of its own. */
export function derEcdsaSignature(raw: Uint8Array): Uint8Array {
  const r = raw.subarray(0, 32);
  const s = raw.subarray(32, 64);
  const rLength = integerLength(r);
  const sLength = integerLength(s);
  const der = new Uint8Array(6 + rLength + sLength);
  der[0] = DER_TAG.sequence;
  der[1] = der.length - 2;
  writeInteger(der, 2, r, rLength);
  writeInteger(der, 4 + rLength, s, sLength);
  return der;
}

/** Bytes of the INTEGER: no leading zeros, and one before a top bit. Zero is one byte. */
function integerLength(magnitude: Uint8Array): number {
  let first = 0;
  while (first < magnitude.length - 1 && magnitude[first] === 0) first += 1;
  return magnitude.length - first + ((magnitude[first] ?? 0) >= 0x80 ? 1 : 0);
}

function writeInteger(der: Uint8Array, at: number, magnitude: Uint8Array, length: number): void {
  der[at] = DER_TAG.integer;
  der[at + 1] = length;
  const digits = Math.min(length, magnitude.length);
  der.set(magnitude.subarray(magnitude.length - digits), at + 2 + length - digits);
}
