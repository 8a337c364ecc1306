/** `note`: good to know, and not needed for the purpose. */
export type Severity = "ok" | "note" | "warning" | "error";

/** What one check found. Everything but `ok` has a cause and a remedy. */
export interface Finding {
  /** Short name of the check, for programs. */
  readonly check: string;
  readonly severity: Severity;
  readonly found: string;
  readonly cause?: string;
  readonly remedy?: string;
}

export function ok(check: string, found: string): Finding {
  return { check, severity: "ok", found };
}

/** A finding that is wrong where `isNeeded`, and a note where not. */
export function lacking(check: string, isNeeded: boolean, texts: Omit<Finding, "check" | "severity">): Finding {
  return { check, severity: isNeeded ? "error" : "note", ...texts };
}

export function warning(check: string, texts: Omit<Finding, "check" | "severity">): Finding {
  return { check, severity: "warning", ...texts };
}
