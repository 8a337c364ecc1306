import { parseManifest } from "../gramine/text.ts";
import type { LintFinding } from "./finding.ts";
import { LINT_RULES } from "./rules.ts";
import { viewOf } from "./view.ts";

/** Checks a manifest or template of any age, by every rule. Throws `MANIFEST_INVALID` for what is no TOML. */
export function lintManifest(bytes: Uint8Array): LintFinding[] {
  const view = viewOf(parseManifest(bytes).document);
  return LINT_RULES.flatMap(({ name, severity, remedy, find }) =>
    find(view).map(({ at, why }) => ({ rule: name, severity, at, why, remedy })),
  );
}
