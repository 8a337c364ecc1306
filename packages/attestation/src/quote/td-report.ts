import type { TdxClaims } from "../appraisal/claims.ts";
import { ByteReader } from "./byte-reader.ts";

/** Bytes of a TD report by its layout (dcap.md C.2). */
export const TD_REPORT_BYTES = { "1.0": 584, "1.5": 648, "1.5-extended": 885 } as const;

/** TDATTRIBUTES.DEBUG, in the first byte. */
const DEBUG = 0x01;

export interface TdReport extends TdxClaims {
  readonly reportData: Uint8Array;
}

export function parseTdReport(raw: Uint8Array, reportVersion: TdReport["reportVersion"]): TdReport {
  const reader = new ByteReader(raw);
  const teeTcbSvn = reader.take(16);
  const mrSeam = reader.take(48);
  const mrSignerSeam = reader.take(48);
  const seamAttributes = reader.take(8);
  const tdAttributes = reader.take(8);
  const xfam = reader.take(8);
  const mrTd = reader.take(48);
  const mrConfigId = reader.take(48);
  const mrOwner = reader.take(48);
  const mrOwnerConfig = reader.take(48);
  const rtmrs = [reader.take(48), reader.take(48), reader.take(48), reader.take(48)] as const;
  const reportData = reader.take(64);
  const later = reportVersion === "1.0" ? {} : { teeTcbSvn2: reader.take(16), mrServiceTd: reader.take(48) };
  const extension = reportVersion === "1.5-extended" ? { extension: reader.take(237) } : {};
  reader.end();
  const module = { teeTcbSvn, mrSeam, mrSignerSeam, seamAttributes };
  const domain = { tdAttributes, xfam, mrTd, mrConfigId, mrOwner, mrOwnerConfig, rtmrs, reportData };
  return { reportVersion, ...module, ...domain, ...later, ...extension };
}

export function isDebugTd(report: TdxClaims): boolean {
  return ((report.tdAttributes[0] ?? DEBUG) & DEBUG) !== 0;
}
