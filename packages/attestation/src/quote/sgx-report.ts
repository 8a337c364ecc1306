import type { SgxClaims } from "../appraisal/claims.ts";
import { ByteReader } from "./byte-reader.ts";

export const SGX_REPORT_BYTES = 384;

/** ATTRIBUTES.FLAGS.DEBUG, in the first byte. */
const DEBUG = 0x02;

/** An SGX report body (dcap.md C.1; Intel SDM, volume 3D, table 39-21). */
export interface SgxReport extends SgxClaims {
  /** The 384 bytes. */
  readonly raw: Uint8Array;
  /** MISCSELECT, 4 bytes as written. */
  readonly miscSelectBytes: Uint8Array;
  readonly reportData: Uint8Array;
}

export function parseSgxReport(raw: Uint8Array): SgxReport {
  const reader = new ByteReader(raw);
  const cpuSvn = reader.take(16);
  const miscSelectBytes = reader.take(4);
  reader.skip(12);
  const isvExtProdId = reader.take(16);
  const attributes = reader.take(16);
  const mrenclave = reader.take(32);
  reader.skip(32);
  const mrsigner = reader.take(32);
  reader.skip(32);
  const configId = reader.take(64);
  const isvProdId = reader.uint16();
  const isvSvn = reader.uint16();
  const configSvn = reader.uint16();
  reader.skip(42);
  const isvFamilyId = reader.take(16);
  const reportData = reader.take(64);
  reader.end();
  const miscSelect = new ByteReader(miscSelectBytes).uint32();
  const identity = { mrenclave, mrsigner, isvProdId, isvSvn, isvExtProdId, isvFamilyId };
  return { raw, cpuSvn, miscSelectBytes, miscSelect, attributes, configId, configSvn, reportData, ...identity };
}

export function isDebugEnclave(report: SgxClaims): boolean {
  return ((report.attributes[0] ?? DEBUG) & DEBUG) !== 0;
}
