/** `error`: the manifest does not protect, or Gramine refuses it. `warning`: look at it. `note`: known and accepted. */
export type LintSeverity = "error" | "warning" | "note";

/** One thing that a rule says about a manifest. */
export interface LintFinding {
  readonly rule: string;
  readonly severity: LintSeverity;
  /** The key or file it is about. */
  readonly at: string;
  readonly why: string;
  readonly remedy: string;
}

/** What a rule found where; its name, severity and remedy are the rule's. */
export interface Spot {
  readonly at: string;
  readonly why: string;
}
