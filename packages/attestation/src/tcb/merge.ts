import type { CollateralTcbStatus, TcbStatus } from "../appraisal/claims.ts";
import type { PartStatus } from "../documents/tcb-info.ts";

/** What a level becomes where the quoting enclave or the TDX module is out of date (dcap.md C.5, step 13). */
const WITH_OUT_OF_DATE_PART: Readonly<Partial<Record<TcbStatus, TcbStatus>>> = {
  UpToDate: "OutOfDate",
  SWHardeningNeeded: "OutOfDate",
  ConfigurationNeeded: "OutOfDateConfigurationNeeded",
  ConfigurationAndSWHardeningNeeded: "OutOfDateConfigurationNeeded",
};

/** The status of a level together with a part. `Revoked` in either stays. */
export function mergeStatus(status: TcbStatus | "Revoked", part: PartStatus): TcbStatus | "Revoked" {
  if (status === "Revoked" || part === "Revoked") return "Revoked";
  return part === "OutOfDate" ? (WITH_OUT_OF_DATE_PART[status] ?? status) : status;
}

export function needsConfiguration(status: CollateralTcbStatus | TcbStatus): boolean {
  return (
    status === "ConfigurationNeeded" ||
    status === "OutOfDateConfigurationNeeded" ||
    status === "ConfigurationAndSWHardeningNeeded"
  );
}

export function isOutOfDate(status: CollateralTcbStatus | TcbStatus): boolean {
  return status === "OutOfDate" || status === "OutOfDateConfigurationNeeded";
}
