import type { LintSeverity, Spot } from "./finding.ts";
import { at, type ManifestView } from "./view.ts";

/** A rule by name. Names are stable: scripts and exceptions rely on them. */
export interface LintRule {
  readonly name: string;
  readonly severity: LintSeverity;
  readonly remedy: string;
  readonly find: (view: ManifestView) => Spot[];
}

export const when = (condition: boolean, spot: Spot): Spot[] => (condition ? [spot] : []);

export const isOn = (view: ManifestView, key: string): boolean => at(view.document, key) === true;
