import type { Collateral, TrustAnchor, VerifiedClaims } from "@cloister/attestation";
import type { Allowed, Policy } from "@cloister/policy";
import type { LogEntry } from "@cloister/release-log/webcrypto";
import type { ClientError } from "../errors.ts";

/** What a replica has to prove, and how that is judged. Nothing has a default that accepts. */
export interface AttestationOptions {
  /** Roots that quotes may chain to. A simulated one is accepted only if it is here and the policy names it. */
  readonly anchors: readonly TrustAnchor[];
  /** Which enclaves may be talked to: a policy, or `pinnedPolicy` for one measurement. */
  readonly policy: Policy;
  /**
   * Collateral for a quote: from a file, a cache, a service. Absent: what the replica staples to its evidence. Either way it is
   * verified, so its source need not be trusted.
   */
  readonly collateral?: (quote: Uint8Array) => Promise<Collateral>;
  /** Ask for proof that the release of the replica's keys is in this log. Absent: not asked for. */
  readonly releaseLog?: RequiredLog;
  /** Default: the system's clock. */
  readonly clock?: () => Date;
  /** Told about each connection that passed, before its first request. */
  readonly onVerified?: (replica: VerifiedReplica) => void;
  /** Told about each connection that was given up. */
  readonly onRefused?: (error: ClientError) => void;
}

/** The broker's release log, as the requester knows it. */
export interface RequiredLog {
  /** The log's Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The log's name; any where it is absent. */
  readonly origin?: string;
}

/** The other end of one connection or session, after every check. */
export interface VerifiedReplica {
  readonly claims: VerifiedClaims;
  /** Which workload of the policy allowed it, by which rule. */
  readonly decision: Allowed;
  /** Lower-case hex of SHA-256 over the SubjectPublicKeyInfo of its serving key. */
  readonly publicKeySha256: string;
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  /** The release of its keys, where `releaseLog` was asked for. */
  readonly release?: LogEntry;
  /** Whether the collateral came from the replica itself. */
  readonly isStapled: boolean;
  /** The checks in their order, in words. */
  readonly steps: readonly string[];
  /** Time for the exchange and the appraisal together. */
  readonly durationMs: number;
}
