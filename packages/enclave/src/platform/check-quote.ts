import { parseQuote, stripZeroPadding } from "@cloister/attestation";
import { equalBytes } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";

const REPORT_DATA_BYTES = 64;

/** The platform gave no quote. `why` and `remedy` are the driver's. */
export function quoteFailed(why: string, remedy: string, cause?: unknown): EnclaveError {
  return new EnclaveError("PLATFORM_QUOTE_FAILED", { what: "the replica got no quote", why, remedy }, { cause });
}

/** Callers make report data of 64 bytes; anything else is a defect. */
export function checkReportData(reportData: Uint8Array): void {
  if (reportData.length !== REPORT_DATA_BYTES) throw new TypeError(`report data has ${REPORT_DATA_BYTES} bytes`);
}

/**
 * The quote without padding, when it is one of that TEE over that report data. It is not verified: the broker does that. This
 * finds a platform's mix-up where it happens. Throws `PLATFORM_QUOTE_FAILED`.
 */
export function checkQuote(answer: Uint8Array, tee: "sgx" | "tdx", reportData: Uint8Array): Uint8Array {
  const remedy = "start the replica again; where it stays, look at the platform's quoting service";
  try {
    const { quote } = stripZeroPadding(answer);
    const { body } = parseQuote(quote);
    if (body.tee === tee && equalBytes(body.report.reportData, reportData)) return quote;
  } catch (cause) {
    throw quoteFailed("the platform's answer is no quote", remedy, cause);
  }
  throw quoteFailed("the quote is not over what was asked for", remedy);
}

/** The system's name of an error, for messages: `EACCES`. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "no code";
}
