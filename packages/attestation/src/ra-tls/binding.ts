import { createHash } from "node:crypto";
import { equalBytes, isZero } from "@cloister/encoding";
import { refusal } from "../errors.ts";

/**
 * Throws `AttestationError` RA_TLS_REPORT_DATA_MISMATCH or RA_TLS_REPORT_DATA_TAIL_NOT_ZERO unless the report data are the
 * SHA-256 of `bound` and 32 zero bytes.
 */
export function checkReportData(reportData: Uint8Array, bound: Uint8Array): void {
  const digest = createHash("sha256").update(bound).digest();
  if (!equalBytes(reportData.subarray(0, 32), digest)) throw refusal("RA_TLS_REPORT_DATA_MISMATCH");
  if (!isZero(reportData.subarray(32))) throw refusal("RA_TLS_REPORT_DATA_TAIL_NOT_ZERO");
}
