import { EncodingError } from "../encoding-error.ts";
import { parseStrictJson, type JsonValue, type StrictJsonLimits } from "./strict-json.ts";

export { parseStrictJson } from "./strict-json.ts";
export type { JsonArray, JsonObject, JsonValue, StrictJsonLimits } from "./strict-json.ts";

/**
 * What `canonicalJson` can write. An `undefined` member is left out, so that optional fields need no special care; in an
 * array it is refused.
 */
export type CanonicalJsonInput =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalJsonInput[]
  | { readonly [name: string]: CanonicalJsonInput | undefined };

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The one text of a value: RFC 8785 (JSON Canonicalization Scheme) without fractions. Names are sorted by UTF-16 units, no
 * white space, numbers are integers within the safe range.
 *
 * Throws `EncodingError` JSON_VALUE_NOT_ALLOWED for anything else: fractions, NaN, -0, bigint, dates, functions, class
 * instances, lone surrogates.
 */
export function canonicalJson(value: CanonicalJsonInput): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw notAllowed("a number is not a safe integer");
    return String(value);
  }
  if (Array.isArray(value)) return `[${Array.from(value as readonly CanonicalJsonInput[], canonicalJson).join(",")}]`;
  if (!isPlainObject(value)) throw notAllowed("a value is no JSON type");
  return canonicalObject(value);
}

/**
 * Parses text that must already be canonical, byte for byte: what was signed or hashed has one form only.
 * Throws `EncodingError` JSON_NOT_CANONICAL beside the codes of `parseStrictJson`.
 */
export function parseCanonicalJson(text: string, limits: Omit<StrictJsonLimits, "allowAnyNumber"> = {}): JsonValue {
  const value = parseStrictJson(text, limits);
  if (canonicalJson(value) !== text) {
    throw new EncodingError("JSON_NOT_CANONICAL", {
      what: "JSON text refused",
      why: "it is valid JSON but not in canonical form (RFC 8785)",
      remedy: "write it with sorted names and no white space",
    });
  }
  return value;
}

function canonicalObject(object: { readonly [name: string]: CanonicalJsonInput | undefined }): string {
  const members: string[] = [];
  for (const name of Object.keys(object).sort()) {
    const value = object[name];
    if (value !== undefined) members.push(`${quote(name)}:${canonicalJson(value)}`);
  }
  return `{${members.join(",")}}`;
}

function quote(text: string): string {
  if (LONE_SURROGATE.test(text)) throw notAllowed("a string holds half of a surrogate pair");
  // JSON.stringify escapes exactly what RFC 8785, section 3.2.2.2, asks for.
  return JSON.stringify(text);
}

function isPlainObject(value: unknown): value is { readonly [name: string]: CanonicalJsonInput | undefined } {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function notAllowed(why: string): EncodingError {
  return new EncodingError("JSON_VALUE_NOT_ALLOWED", {
    what: "value not written as canonical JSON",
    why,
    remedy: "convert it to strings, safe integers, arrays and plain objects first",
  });
}
