import { refusal } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { parseSgxReport, SGX_REPORT_BYTES, type SgxReport } from "./sgx-report.ts";

const PCK_CERTIFICATE_CHAIN = 5;
const QE_REPORT_CERTIFICATION_DATA = 6;

/** What proves a quote (dcap.md C.1 from offset 436, C.2). */
export interface SignatureData {
  /** r then s, over the header and the body. */
  readonly quoteSignature: Uint8Array;
  /** x then y. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: SgxReport;
  /** r then s, by the PCK key. */
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  /** PEM text of the PCK certificate chain, leaf first. */
  readonly pckChain: Uint8Array;
}

/** Signature data of a version 3 quote. `bytes` is all of it. */
export function parseSignatureDataV3(bytes: Uint8Array): SignatureData {
  const reader = new ByteReader(bytes);
  const quoteSignature = reader.take(64);
  const attestationKey = reader.take(64);
  return { quoteSignature, attestationKey, ...parseQeCertification(reader) };
}

/** Signature data of versions 4 and 5, where the quoting enclave's report is certification data of its own. */
export function parseSignatureDataV4(bytes: Uint8Array): SignatureData {
  const reader = new ByteReader(bytes);
  const quoteSignature = reader.take(64);
  const attestationKey = reader.take(64);
  const outerType = reader.uint16();
  const outerLength = reader.uint32();
  if (outerLength !== reader.remaining) throw refusal("QUOTE_MALFORMED");
  if (outerType !== QE_REPORT_CERTIFICATION_DATA) throw refusal("QUOTE_CERTIFICATION_TYPE_UNSUPPORTED");
  return { quoteSignature, attestationKey, ...parseQeCertification(reader) };
}

function parseQeCertification(reader: ByteReader): Omit<SignatureData, "quoteSignature" | "attestationKey"> {
  const qeReport = parseSgxReport(reader.take(SGX_REPORT_BYTES));
  const qeReportSignature = reader.take(64);
  const qeAuthData = reader.take(reader.uint16());
  const type = reader.uint16();
  const length = reader.uint32();
  if (length !== reader.remaining) throw refusal("QUOTE_MALFORMED");
  if (type !== PCK_CERTIFICATE_CHAIN) throw refusal("QUOTE_CERTIFICATION_TYPE_UNSUPPORTED");
  const pckChain = reader.take(length);
  return { qeReport, qeReportSignature, qeAuthData, pckChain };
}
