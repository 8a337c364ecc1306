import { utf8 } from "@cloister/encoding";
import { stringify } from "smol-toml";
import { EnclaveError } from "../errors.ts";
import { parseManifest } from "../gramine/text.ts";
import { deprecationsIn, upgradeManifest } from "./deprecated.ts";

export interface UpgradedManifest {
  readonly text: Uint8Array;
  /** Keys that were replaced or dropped. */
  readonly changed: readonly string[];
}

/**
 * Writes a manifest with the keys of today. It says what the old one said: weak points stay, and stay findings. Comments are lost.
 * Throws `MANIFEST_INVALID`, and `MANIFEST_IS_TEMPLATE` where statements decide what it says.
 */
export function upgradeManifestText(bytes: Uint8Array): UpgradedManifest {
  const { document, isTemplate } = parseManifest(bytes);
  if (isTemplate) {
    throw new EnclaveError("MANIFEST_IS_TEMPLATE", {
      what: "the template was not upgraded",
      why: "it has Jinja statements, which would be lost",
      remedy: "render it first (gramine-manifest), or change it by hand as the findings say",
    });
  }
  const changed = deprecationsIn(document).map(({ key }) => key);
  return { text: utf8(stringify(upgradeManifest(document))), changed };
}
