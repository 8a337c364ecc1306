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
  /** Lower-case hex SHA-256 of the canonical claims; null where the evidence could not be appraised. */
  readonly claimsSha256: string | null;
  /** Lower-case hex SHA-256 of the policy that decided. */
  readonly policySha256: string;
  /** Lower-case hex SHA-256 of the peer's public key (SubjectPublicKeyInfo). */
  readonly peerKeySha256: string | null;
  /** Whether the evidence stands under a simulated trust anchor. */
  readonly simulated: boolean;
}
