import { GramineSchema } from "../gramine/schema.ts";
import { deprecationsIn, entrypointUri } from "./deprecated.ts";
import type { Spot } from "./finding.ts";
import type { LintRule } from "./rule.ts";
import { type ManifestView } from "./view.ts";

/** What Gramine refuses: keys and values that it does not know, or no longer. */
export const SHAPE_RULES: readonly LintRule[] = [
  {
    name: "deprecated-key",
    severity: "error",
    remedy: "let --upgrade write the keys of today, and look at what it dropped",
    find: ({ document }) =>
      deprecationsIn(document).map(({ key, since, instead }) => ({ at: key, why: `${since}; today: ${instead}` })),
  },
  {
    name: "schema",
    severity: "error",
    remedy: "correct or remove the key; Gramine 1.8 and 1.9 refuse the manifest",
    find: schemaSpots,
  },
];

/** Keys that another rule tells about are left to that rule. */
function schemaSpots({ document }: ManifestView): Spot[] {
  const parsed = GramineSchema.safeParse(document);
  if (parsed.success) return [];
  const old = deprecationsIn(document).map(({ key }) => key);
  const spots = parsed.error.issues.flatMap(({ code, path, message, ...issue }) => {
    const base = path.join(".");
    if (code !== "unrecognized_keys" || !("keys" in issue)) return [{ at: base || "the manifest", why: message }];
    const names = issue.keys as readonly string[];
    return names.map((name) => ({ at: base === "" ? name : `${base}.${name}`, why: "there is no such key" }));
  });
  const hasEntrypoint = entrypointUri(document) !== "";
  return spots
    .filter(
      ({ at: key }) => !old.some((name) => key === name || name.startsWith(`${key}.`) || key.startsWith(`${name}.`)),
    )
    .filter(({ at: key }) => !(hasEntrypoint && key === "loader.entrypoint"))
    .filter(({ at: key }) => !(key.startsWith("fs") && old.some((name) => name === "fs.mount")));
}
