import { fromUtf8, utf8 } from "@cloister/encoding";
import { canonicalJson, type JsonObject, type JsonValue } from "@cloister/encoding/canonical-json";
import { isCanonicalText } from "./canonical-text.ts";
import { ReleaseLogError } from "./release-log-error.ts";

/** One decision of the broker as the log keeps it. Everything in it may be public; it holds no secret. */
export interface LogEntry {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly decision: "released" | "refused";
  /** Codes of the refusal, the deciding one first; empty for a release. */
  readonly codes: readonly string[];
  /** Workload and rule that allowed; null in a refusal. */
  readonly workload: string | null;
  readonly rule: string | null;
  readonly keyId: string | null;
  /** What the evidence proved, as far as a policy looks at it, so that decisions can be replayed. Null: not appraised. */
  readonly claims: JsonObject | null;
  /** Lower-case hex SHA-256 of the canonical JSON of `claims`; null beside null. */
  readonly claimsSha256: string | null;
  /** Lower-case hex SHA-256 of the policy that decided. */
  readonly policySha256: string;
  /** Lower-case hex SHA-256 of the peer's public key (SubjectPublicKeyInfo). */
  readonly peerKeySha256: string | null;
  /** Whether the evidence stands under a simulated trust anchor. */
  readonly simulated: boolean;
}

/** Longest entry on disk and in a proof, bytes of canonical JSON. */
export const MAX_ENTRY_BYTES = 8192;
const MAX_CODES = 32;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;
const DIGEST = /^[0-9a-f]{64}$/;

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 512;
const isNullOr =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || test(value);
const matches =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    typeof value === "string" && pattern.test(value);

const FIELDS: Readonly<Record<keyof LogEntry, (value: unknown) => boolean>> = {
  time: matches(TIME),
  decision: (value) => value === "released" || value === "refused",
  codes: (value) => Array.isArray(value) && value.length <= MAX_CODES && value.every(matches(CODE)),
  workload: isNullOr(isText),
  rule: isNullOr(isText),
  keyId: isNullOr(isText),
  claims: isNullOr((value) => typeof value === "object" && !Array.isArray(value)),
  claimsSha256: isNullOr(matches(DIGEST)),
  policySha256: matches(DIGEST),
  peerKeySha256: isNullOr(matches(DIGEST)),
  simulated: (value) => typeof value === "boolean",
};

function malformed(why: string, cause?: unknown): ReleaseLogError {
  return new ReleaseLogError(
    "LOG_ENTRY_MALFORMED",
    { what: "the log entry is malformed", why, remedy: "look for the change in the log; entries are never rewritten" },
    { cause },
  );
}

function check(value: object): asserts value is LogEntry {
  const names = Object.keys(FIELDS);
  if (Object.keys(value).length !== names.length) throw malformed("it does not have exactly the fields of an entry");
  for (const [name, isValid] of Object.entries(FIELDS)) {
    if (!Object.hasOwn(value, name) || !isValid((value as Record<string, unknown>)[name])) {
      throw malformed(`field ${name} is missing or not of its form`);
    }
  }
}

/** The bytes of an entry that are hashed and stored: canonical JSON, no newline in it. Throws LOG_ENTRY_MALFORMED. */
export function encodeLogEntry(entry: LogEntry): Uint8Array {
  check(entry);
  const bytes = utf8(canonicalJson({ ...entry }));
  if (bytes.length > MAX_ENTRY_BYTES) throw malformed("it is too long");
  return bytes;
}

/** Reads the one form that `encodeLogEntry` writes. Throws LOG_ENTRY_MALFORMED. */
export function decodeLogEntry(bytes: Uint8Array): LogEntry {
  const text = bytes.length <= MAX_ENTRY_BYTES ? fromUtf8(bytes) : undefined;
  if (text === undefined) throw malformed("it is too long or not UTF-8");
  let value: JsonValue;
  try {
    // Canonical text is the one text of its value, so comparing settles duplicates, order and spacing; no strict parser is
    // needed.
    value = JSON.parse(text) as JsonValue;
    if (!isCanonicalText(value, text)) throw malformed("it is not canonical JSON");
  } catch (error) {
    throw malformed("it is not canonical JSON", error);
  }
  if (typeof value !== "object" || value === null) throw malformed("it is not an object");
  const entry: object = value;
  check(entry);
  return entry;
}
