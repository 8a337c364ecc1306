import type { HeaderField } from "@cloister/encoding/http2";

/** A request's headers by name. A header that was sent more than once has its values with commas between them. */
export type RequestHeaders = Readonly<Record<string, string | undefined>>;

/** Every request has the first three, once. (RFC 9113, section 8.3.1) */
const PSEUDO_HEADERS = new Set([":method", ":scheme", ":path", ":authority"]);
/** They are of HTTP/1.1's connections. (Section 8.2.2) */
const CONNECTION_HEADERS = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);
/** Visible ASCII without upper case. (Section 8.2.1) */
const NAME = /^[!-9;-@[-~]+$/;
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;

/** Fields that were found good: blocks refer to the same ones again and again. */
const knownGood = new WeakSet<HeaderField>();

/** The headers of a request, or `undefined` where they are malformed. (Sections 8.2 and 8.3) */
export function readRequestHeaders(fields: readonly HeaderField[]): RequestHeaders | undefined {
  const headers: Record<string, string | undefined> = {};
  let isBehindPseudo = false;
  for (const field of fields) {
    const { name, value } = field;
    if (name.startsWith(":")) {
      if (isBehindPseudo || headers[name] !== undefined || !PSEUDO_HEADERS.has(name)) return undefined;
      headers[name] = value;
    } else {
      isBehindPseudo = true;
      if (!isGoodField(field)) return undefined;
      const before = headers[name];
      headers[name] = before === undefined ? value : `${before}, ${value}`;
    }
  }
  const isComplete = headers[":method"] !== undefined && headers[":scheme"] !== undefined && headers[":path"];
  return isComplete ? headers : undefined;
}

/** Trailers have no pseudo-headers. */
export function areGoodTrailers(fields: readonly HeaderField[]): boolean {
  return fields.every((field) => !field.name.startsWith(":") && isGoodField(field));
}

function isGoodField(field: HeaderField): boolean {
  if (knownGood.has(field)) return true;
  const { name, value } = field;
  if (!NAME.test(name) || BAD_VALUE.test(value) || CONNECTION_HEADERS.has(name)) return false;
  if (name === "te" && value !== "trailers") return false;
  knownGood.add(field);
  return true;
}
