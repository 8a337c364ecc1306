/** Fields of an SGX report body that can differ; the rest is zero. */
export interface SgxReportFields {
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array;
  readonly attributeFlags: bigint;
  /** 32 bytes each. */
  readonly mrenclave: Uint8Array;
  readonly mrsigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** Shorter data are padded with zeros to 64 bytes. */
  readonly reportData: Uint8Array;
  /** 64 bytes. */
  readonly configId?: Uint8Array;
  readonly configSvn?: number;
}

const SGX_REPORT_BYTES = 384;
// x87, SSE, AVX and AVX-512.
const XFRM = 0xe7n;

/** The 384 bytes of a report body (Intel SGX SDM volume 3D, REPORT structure without its MAC part). */
export function sgxReport(fields: SgxReportFields): Uint8Array {
  const bytes = new Uint8Array(SGX_REPORT_BYTES);
  const view = new DataView(bytes.buffer);
  put(bytes, 0, fields.cpuSvn, 16);
  view.setBigUint64(48, fields.attributeFlags, true);
  view.setBigUint64(56, XFRM, true);
  put(bytes, 64, fields.mrenclave, 32);
  put(bytes, 128, fields.mrsigner, 32);
  if (fields.configId !== undefined) put(bytes, 192, fields.configId, 64);
  view.setUint16(256, fields.isvProdId, true);
  view.setUint16(258, fields.isvSvn, true);
  view.setUint16(260, fields.configSvn ?? 0, true);
  bytes.set(reportDataField(fields.reportData), 320);
  return bytes;
}

/** Report data, filled up with zeros to 64 bytes. */
export function reportDataField(reportData: Uint8Array): Uint8Array {
  if (reportData.length > 64) throw new RangeError("report data are longer than 64 bytes");
  const field = new Uint8Array(64);
  field.set(reportData);
  return field;
}

/** Copies a field that must have exactly `length` bytes. */
export function put(target: Uint8Array, offset: number, field: Uint8Array, length: number): void {
  if (field.length !== length)
    throw new RangeError(`a field of a report has ${field.length} bytes instead of ${length}`);
  target.set(field, offset);
}
