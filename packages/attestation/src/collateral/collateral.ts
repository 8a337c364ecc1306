import { fromUtf8, utf8 } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import { canonicalJson, parseCanonicalJson, type JsonObject, type JsonValue } from "@cloister/encoding/canonical-json";
import { refusal } from "../errors.ts";

/** Everything a verifier needs beside the quote, all as served; nothing in it is verified. */
export interface Collateral {
  /** Body of the TCB info response: `{"tcbInfo":...,"signature":"hex"}`. */
  readonly tcbInfo: Uint8Array;
  /** PEM, signer then root. */
  readonly tcbInfoIssuerChain: string;
  /** Body of the QE identity response: `{"enclaveIdentity":...,"signature":"hex"}`. */
  readonly qeIdentity: Uint8Array;
  /** PEM, signer then root. */
  readonly qeIdentityIssuerChain: string;
  /** DER. */
  readonly rootCaCrl: Uint8Array;
  /** DER. */
  readonly pckCrl: Uint8Array;
  /** PEM, PCK CA then root. */
  readonly pckCrlIssuerChain: string;
}

const FORMAT = "cloister-collateral/1";
const MAX_LENGTH = 1 << 23;
const BYTE_ITEMS = ["tcbInfo", "qeIdentity", "rootCaCrl", "pckCrl"] as const;
const TEXT_ITEMS = ["tcbInfoIssuerChain", "qeIdentityIssuerChain", "pckCrlIssuerChain"] as const;

/** Canonical JSON of collateral, byte strings in base64. The same collateral always gives the same bytes. */
export function encodeCollateral(collateral: Collateral): Uint8Array {
  const items = [
    ...BYTE_ITEMS.map((name) => [name, toBase64(collateral[name])]),
    ...TEXT_ITEMS.map((name) => [name, collateral[name]]),
  ];
  return utf8(canonicalJson({ format: FORMAT, ...(Object.fromEntries(items) as Record<string, string>) }));
}

/** Reads what `encodeCollateral` wrote. Throws `AttestationError` COLLATERAL_MALFORMED for anything else. */
export function decodeCollateral(bytes: Uint8Array): Collateral {
  const object = parseObject(bytes);
  const names = Object.keys(object);
  if (object["format"] !== FORMAT || names.length !== BYTE_ITEMS.length + TEXT_ITEMS.length + 1) throw malformed();
  const text = (name: string): string => {
    const value = object[name];
    if (typeof value !== "string") throw malformed();
    return value;
  };
  const binary = (name: string): Uint8Array => fromBase64(text(name)) ?? raise();
  return {
    tcbInfo: binary("tcbInfo"),
    tcbInfoIssuerChain: text("tcbInfoIssuerChain"),
    qeIdentity: binary("qeIdentity"),
    qeIdentityIssuerChain: text("qeIdentityIssuerChain"),
    rootCaCrl: binary("rootCaCrl"),
    pckCrl: binary("pckCrl"),
    pckCrlIssuerChain: text("pckCrlIssuerChain"),
  };
}

function parseObject(bytes: Uint8Array): JsonObject {
  const text = bytes.length > MAX_LENGTH ? undefined : fromUtf8(bytes);
  if (text === undefined) throw malformed();
  let value: JsonValue;
  try {
    value = parseCanonicalJson(text, { maxLength: MAX_LENGTH, maxDepth: 1 });
  } catch (error) {
    throw malformed(error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed();
  return value as JsonObject;
}

function raise(): never {
  throw malformed();
}

function malformed(cause?: unknown): Error {
  return refusal("COLLATERAL_MALFORMED", cause);
}
