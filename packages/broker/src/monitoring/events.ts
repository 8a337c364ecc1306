import type { Denial } from "@cloister/policy";

/** What the broker tells its operator. No event holds a secret; all are safe to print as JSON. */
export type BrokerEvent =
  | ({ readonly type: "release"; readonly time: string; readonly address: string } & ReleaseFacts)
  | ({ readonly type: "refusal"; readonly time: string; readonly address: string } & RefusalFacts)
  | {
      /** The connection ended before a decision: time-outs, limits, garbage, a peer that went away. */
      readonly type: "connection";
      readonly time: string;
      readonly address: string;
      readonly code: ConnectionCode;
    }
  | { readonly type: "alarm"; readonly time: string; readonly code: AlarmCode; readonly reason: string }
  | { readonly type: "policy"; readonly time: string; readonly policySha256: string }
  | {
      /** Collateral was fetched, or a fetch was refused: `code` says why. */
      readonly type: "collateral";
      readonly time: string;
      readonly outcome: "fetched" | "fetch-refused" | "stored" | "stored-refused";
      readonly tee: "sgx" | "tdx";
      readonly fmspc: string;
      readonly pckCa: string;
      readonly code: string | null;
    }
  /** The broker's own certificate was renewed. */
  | { readonly type: "certificate"; readonly time: string; readonly notAfter: string };

export interface ReleaseFacts {
  readonly workload: string;
  readonly rule: string;
  readonly keyId: string;
  readonly simulated: boolean;
  readonly peerKeySha256: string;
  readonly logIndex: number;
  readonly milliseconds: number;
}

export interface RefusalFacts {
  /** The deciding code: of the policy, of the attestation error, or of the broker itself. */
  readonly code: string;
  readonly denials: readonly Denial[];
  readonly simulated: boolean;
  readonly peerKeySha256: string | null;
  /** Null where the log could not take the entry, and for BROKER_BUSY, which is not logged: a flood must not fill the disk. */
  readonly logIndex: number | null;
}

export type ConnectionCode =
  | "CONNECTION_LIMIT"
  | "ADDRESS_LIMIT"
  | "HANDSHAKE_FAILED"
  | "HANDSHAKE_TIMEOUT"
  | "IDLE_TIMEOUT"
  | "CONNECTION_TIMEOUT"
  | "REQUEST_MALFORMED"
  | "CLIENT_ABORTED";

export type AlarmCode =
  "LOG_UNAVAILABLE" | "LOG_BROKEN" | "POLICY_REJECTED" | "COLLATERAL_ROLLED_BACK" | "INTERNAL_ERROR";

/** Whether the release log took the entry of a decision; undefined for events that tell nothing about it. */
export function tellsLogWritable(event: BrokerEvent): boolean | undefined {
  if (event.type === "release") return true;
  return event.type === "refusal" && event.code !== "BROKER_BUSY" ? event.logIndex !== null : undefined;
}
