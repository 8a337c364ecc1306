import { put, reportDataField } from "./sgx-report.ts";

export const TDX_MODULE_ID = "TDX_01";
export const TDX_MODULE_SVN = 5;
/** Components that TCB info asks for. Index 1 of TEE_TCB_SVN is the module's major version. */
export const TDX_COMPONENT_SVNS = Uint8Array.of(5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const TEE_TCB_SVN = Uint8Array.of(TDX_MODULE_SVN, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

const TD_REPORT_10_BYTES = 584;
const TD_REPORT_15_BYTES = 648;
const DEBUG = 1n;
const SEPT_VE_DISABLE = 1n << 28n;
const XFAM = 0x6_02e7n;

/** Fields of a TD report body that can differ; the rest is zero. Measurements have 48 bytes. */
export interface TdReportFields {
  readonly mrtd: Uint8Array;
  /** RTMR0 to RTMR3. */
  readonly rtmrs?: readonly Uint8Array[];
  readonly mrConfigId?: Uint8Array;
  readonly mrOwner?: Uint8Array;
  readonly mrOwnerConfig?: Uint8Array;
  /** Up to 64 bytes, padded with zeros. */
  readonly reportData: Uint8Array;
  readonly debug?: boolean;
}

/** TD report body: 584 bytes, or 648 in the form of TDX 1.5. */
export function tdReport(fields: TdReportFields, form: "1.0" | "1.5"): Uint8Array {
  const bytes = new Uint8Array(form === "1.5" ? TD_REPORT_15_BYTES : TD_REPORT_10_BYTES);
  const view = new DataView(bytes.buffer);
  put(bytes, 0, TEE_TCB_SVN, 16);
  bytes.fill(0x53, 16, 64); // MRSEAM
  view.setBigUint64(120, SEPT_VE_DISABLE | (fields.debug === true ? DEBUG : 0n), true);
  view.setBigUint64(128, XFAM, true);
  put(bytes, 136, fields.mrtd, 48);
  for (const [offset, field] of optionalFields(fields)) put(bytes, offset, field, 48);
  bytes.set(reportDataField(fields.reportData), 520);
  if (form === "1.5") put(bytes, 584, TEE_TCB_SVN, 16);
  return bytes;
}

function optionalFields(fields: TdReportFields): (readonly [number, Uint8Array])[] {
  const { mrConfigId, mrOwner, mrOwnerConfig, rtmrs = [] } = fields;
  if (rtmrs.length > 4) throw new RangeError("a TD has four RTMRs");
  const entries: (readonly [number, Uint8Array | undefined])[] = [
    [184, mrConfigId],
    [232, mrOwner],
    [280, mrOwnerConfig],
    ...rtmrs.map((rtmr, index) => [328 + 48 * index, rtmr] as const),
  ];
  return entries.filter((entry): entry is readonly [number, Uint8Array] => entry[1] !== undefined);
}
