import type { LogEntry } from "@cloister/release-log";

/** A release to the peer key of that number. */
export const logEntry = (key: number, policySha256 = "cd".repeat(32)): LogEntry => ({
  time: new Date(Date.UTC(2026, 0, 1) + key).toISOString(),
  decision: "released",
  codes: [],
  workload: "digits",
  rule: "workloads.digits.identities.0",
  keyId: "digits/1",
  claims: { tee: "sgx", tcbStatus: "UpToDate" },
  claimsSha256: "ab".repeat(32),
  policySha256,
  peerKeySha256: key.toString(16).padStart(64, "0"),
  simulated: true,
});
