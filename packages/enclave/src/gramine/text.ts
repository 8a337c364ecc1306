import { fromUtf8, utf8 } from "@cloister/encoding";
import { parse, stringify } from "smol-toml";
import { EnclaveError } from "../errors.ts";
import { type GramineDocument, GramineSchema } from "./schema.ts";

const MAX_BYTES = 64 * 1024 * 1024;
const HEADER =
  "# Written by cloister enclave manifest. Every byte is measured: change cloister.yaml and write it anew.\n";

/** The bytes of a `.manifest.sgx`. Throws `MANIFEST_INVALID` for what Gramine would refuse. */
export function encodeGramineManifest(document: GramineDocument): Uint8Array {
  const checked = GramineSchema.safeParse(document);
  if (!checked.success) throw invalid(checked.error.issues.map(({ path }) => path.join(".")).join(", "));
  return utf8(HEADER + stringify(document));
}

/** A manifest or template as data. */
export interface ParsedManifest {
  readonly document: Readonly<Record<string, unknown>>;
  /** It has Jinja statements, whose effect is not known here. */
  readonly isTemplate: boolean;
}

/**
 * Reads a manifest, also a template: Jinja statements are left out, expressions stay as text inside strings. Throws
 * `MANIFEST_INVALID`.
 */
export function parseManifest(bytes: Uint8Array): ParsedManifest {
  const text = bytes.length <= MAX_BYTES ? fromUtf8(bytes) : undefined;
  if (text === undefined) throw invalid("the text itself");
  const withoutStatements = text.replaceAll(/\{%.*?%\}/gs, "").replaceAll(/\{#.*?#\}/gs, "");
  // An expression that stands for a whole value, outside of quotes.
  const quoted = withoutStatements.replaceAll(/=[ \t]*(\{\{[^"\n]*?\}\})/g, '= "$1"');
  try {
    return { document: parse(quoted), isTemplate: withoutStatements !== text };
  } catch (cause) {
    throw invalid("the TOML itself", cause);
  }
}

function invalid(where: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "MANIFEST_INVALID",
    {
      what: "the Gramine manifest was refused",
      why: `it cannot be read at: ${where.slice(0, 200)}`,
      remedy: "correct it; docs/reference/manifest-rules.md has the rules",
    },
    { cause },
  );
}
