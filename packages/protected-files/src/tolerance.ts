/**
 * What stock tools let pass and this package refuses unless told otherwise. None of it endangers the plaintext that is
 * returned, which is authenticated; each is a place where a host can change a file unseen.
 *
 * - `appended-nodes`: whole nodes after the end of the file.
 * - `metadata-padding`: bytes after the encrypted part of node 0.
 * - `minor-version`: a minor version other than 0.
 * - `feature-flags`: an unknown feature flag (format 2.0).
 * - `pending-write`: the has-pending-write flag (format 2.0); the recovery file is not looked at.
 * - `raw-path`: a bound path that only equals the given one after normalisation, as tools before Gramine 1.4 wrote.
 */
export type Tolerance =
  "appended-nodes" | "metadata-padding" | "minor-version" | "feature-flags" | "pending-write" | "raw-path";

/** Everything Gramine's own tool of June 2025 lets pass. */
export const STOCK_TOLERANCES: readonly Tolerance[] = [
  "appended-nodes",
  "metadata-padding",
  "minor-version",
  "feature-flags",
  "pending-write",
];

export function allows(tolerate: readonly Tolerance[] | undefined, what: Tolerance): boolean {
  return tolerate?.includes(what) ?? false;
}
