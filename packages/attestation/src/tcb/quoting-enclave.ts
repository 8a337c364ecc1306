import { concatBytes, equalBytes, isZero } from "@cloister/encoding";
import type { Certificate } from "@cloister/encoding/x509";
import type { QeIdentity } from "../documents/qe-identity.ts";
import type { IsvLevel } from "../documents/tcb-info.ts";
import { refusal } from "../errors.ts";
import type { SgxReport } from "../quote/sgx-report.ts";
import type { SignatureData } from "../quote/signature-data.ts";
import { sha256, verifySignature, type Steps } from "../appraisal/steps.ts";

/**
 * The PCK key vouches for the quoting enclave's report, and the report for the attestation key (dcap.md C.5, step 8).
 * Throws `AttestationError` QE_REPORT_SIGNATURE_INVALID or QE_REPORT_DATA_MISMATCH.
 */
export function* verifyQeReport(data: SignatureData, pck: Certificate): Steps<true> {
  const { qeReport, qeReportSignature, attestationKey, qeAuthData } = data;
  if (!(yield* verifySignature(pck.publicKey, qeReport.raw, qeReportSignature))) {
    throw refusal("QE_REPORT_SIGNATURE_INVALID");
  }
  const binding = yield* sha256(concatBytes(attestationKey, qeAuthData));
  const bound = equalBytes(qeReport.reportData.subarray(0, 32), binding);
  if (!bound || !isZero(qeReport.reportData.subarray(32))) throw refusal("QE_REPORT_DATA_MISMATCH");
  return true;
}

/**
 * The quoting enclave is the one that the identity describes (dcap.md C.5, step 9). Returns its TCB level.
 * Throws `AttestationError` with a QE_ code.
 */
export function checkQeIdentity(report: SgxReport, identity: QeIdentity): IsvLevel {
  if (!matches(report.miscSelectBytes, identity.miscSelectMask, identity.miscSelect)) {
    throw refusal("QE_MISCSELECT_MISMATCH");
  }
  if (!matches(report.attributes, identity.attributesMask, identity.attributes)) {
    throw refusal("QE_ATTRIBUTES_MISMATCH");
  }
  if (!equalBytes(report.mrsigner, identity.mrSigner)) throw refusal("QE_MRSIGNER_MISMATCH");
  if (report.isvProdId !== identity.isvProdId) throw refusal("QE_ISVPRODID_MISMATCH");
  const level = identity.levels.find(({ isvSvn }) => isvSvn <= report.isvSvn);
  if (level === undefined) throw refusal("QE_TCB_NOT_SUPPORTED");
  return level;
}

/** JSON writes MISCSELECT and ATTRIBUTES in the byte order of the report. */
function matches(value: Uint8Array, mask: Uint8Array, expected: Uint8Array): boolean {
  return value.every((byte, index) => (byte & (mask[index] ?? 0xff)) === expected[index]);
}
