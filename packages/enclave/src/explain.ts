import { parseStrictJson } from "@cloister/encoding/canonical-json";
import { equalBytes, fromUtf8 } from "@cloister/encoding";
import { decodeManifest } from "./manifest/manifest.ts";
import { parseManifest } from "./gramine/text.ts";
import { isTable, text } from "./lint/view.ts";

const JSON_START = 0x7b;
/** Lists of files, which are compared file by file. */
const TRUSTED = "sgx.trusted_files";
const OWN_TRUSTED = "trustedFiles";

interface KeyChange {
  readonly key: string;
  /** JSON of the value; null where the key is not there. */
  readonly before: string | null;
  readonly after: string | null;
}

interface FileChange {
  readonly file: string;
  readonly change: "added" | "removed" | "changed";
}

/** Why two enclaves have different measurements, as far as their manifests tell. */
export interface Difference {
  /** Byte for byte: then only another loader (libpal.so) can move the measurement. */
  readonly identical: boolean;
  readonly keys: readonly KeyChange[];
  readonly files: readonly FileChange[];
  /** The bytes differ, and neither a key nor a file: order, comments or spaces. They are measured too. */
  readonly isFormattingOnly: boolean;
}

/** Compares two manifests of the same kind: Gramine's, or ours in JSON. Throws `MANIFEST_INVALID`. */
export function explainDifference(before: Uint8Array, after: Uint8Array): Difference {
  const [a, b] = [contentOf(before), contentOf(after)];
  const identical = equalBytes(before, after);
  const keys = changedKeys(a.keys, b.keys);
  const files = changedFiles(a.files, b.files);
  return { identical, keys, files, isFormattingOnly: !identical && keys.length === 0 && files.length === 0 };
}

interface Content {
  readonly keys: ReadonlyMap<string, string>;
  /** Digest by file; empty where the manifest has none yet. */
  readonly files: ReadonlyMap<string, string>;
}

function contentOf(bytes: Uint8Array): Content {
  const document = bytes[0] === JSON_START ? ownDocument(bytes) : parseManifest(bytes).document;
  const keys = new Map<string, string>();
  const files = new Map<string, string>();
  collect("", document, keys, files);
  return { keys, files };
}

function ownDocument(bytes: Uint8Array): unknown {
  decodeManifest(bytes);
  return parseStrictJson(fromUtf8(bytes) ?? "");
}

function collect(key: string, value: unknown, keys: Map<string, string>, files: Map<string, string>): void {
  if (key === TRUSTED && Array.isArray(value)) {
    for (const entry of value as unknown[]) {
      if (isTable(entry)) files.set(text(entry["uri"]), text(entry["sha256"]));
      else files.set(text(entry), "");
    }
  } else if (key === OWN_TRUSTED && isTable(value)) {
    for (const [file, digest] of Object.entries(value)) files.set(file, text(digest));
  } else if (isTable(value)) {
    for (const [name, inner] of Object.entries(value))
      collect(key === "" ? name : `${key}.${name}`, inner, keys, files);
  } else {
    keys.set(
      key,
      JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)),
    );
  }
}

function changedKeys(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): KeyChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .map((key) => ({ key, before: before.get(key) ?? null, after: after.get(key) ?? null }))
    .filter((change) => change.before !== change.after);
}

function changedFiles(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): FileChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((file): FileChange[] => {
    if (!before.has(file)) return [{ file, change: "added" }];
    if (!after.has(file)) return [{ file, change: "removed" }];
    return before.get(file) === after.get(file) ? [] : [{ file, change: "changed" }];
  });
}
