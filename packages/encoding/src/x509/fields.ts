import { equalBytes, toHex } from "../bytes.ts";
import { DER_TAG, type DerReader } from "../der/der.ts";
import { x509Malformed } from "./malformed.ts";

/** An AlgorithmIdentifier (RFC 5280, 4.1.1.2). `parameters` is the whole DER element, absent where there is none. */
export interface AlgorithmIdentifier {
  readonly oid: string;
  readonly parameters?: Uint8Array;
}

/** One extension (RFC 5280, 4.2). `value` is the content of the OCTET STRING. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

// RFC 5280, 4.1.2.2: at most 20 octets; one more for the sign byte.
const MAX_SERIAL_BYTES = 20;
const MAX_EXTENSIONS = 64;

export function readAlgorithm(reader: DerReader): AlgorithmIdentifier {
  const fields = reader.sequence();
  const oid = fields.oid();
  if (fields.atEnd) return { oid };
  const parameters = fields.element().raw;
  fields.end();
  return { oid, parameters };
}

export function sameAlgorithm(a: AlgorithmIdentifier, b: AlgorithmIdentifier): boolean {
  if (a.oid !== b.oid) return false;
  if (a.parameters === undefined || b.parameters === undefined) return a.parameters === b.parameters;
  return equalBytes(a.parameters, b.parameters);
}

/** A serial number as lower-case hex of its magnitude. Negative ones are refused. */
export function readSerial(reader: DerReader): string {
  const bytes = reader.unsignedBytes();
  if (bytes.length > MAX_SERIAL_BYTES) throw x509Malformed("a serial number is longer than 20 bytes");
  return toHex(bytes);
}

/** Extensions ::= SEQUENCE SIZE (1..MAX) OF Extension. An OID that comes twice is refused. */
export function readExtensions(reader: DerReader): readonly Extension[] {
  const list = reader.sequence();
  const extensions: Extension[] = [];
  do {
    const extension = readExtension(list);
    // At most 64, and mostly one to seven: a Set would cost more.
    if (extensions.some(({ oid }) => oid === extension.oid)) throw x509Malformed("an extension is there twice");
    if (extensions.length === MAX_EXTENSIONS) throw x509Malformed("there are too many extensions");
    extensions.push(extension);
  } while (!list.atEnd);
  return extensions;
}

function readExtension(list: DerReader): Extension {
  const fields = list.sequence();
  const oid = fields.oid();
  let critical = false;
  if (fields.peekTag() === DER_TAG.boolean) {
    critical = fields.boolean();
    // DER leaves a default value out (X.690, 11.5).
    if (!critical) throw x509Malformed("a default value is written out");
  }
  const value = fields.octetString();
  fields.end();
  return { oid, critical, value };
}
