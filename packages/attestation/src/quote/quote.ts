import { equalBytes, isZero } from "@cloister/encoding";
import { refusal } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { parseSgxReport, SGX_REPORT_BYTES, type SgxReport } from "./sgx-report.ts";
import { parseSignatureDataV3, parseSignatureDataV4, type SignatureData } from "./signature-data.ts";
import { parseTdReport, TD_REPORT_BYTES, type TdReport } from "./td-report.ts";

const MAX_QUOTE_BYTES = 16 * 1024;

const HEADER_BYTES = 48;
const ECDSA_P256 = 2;
const TEE_SGX = 0;
const TEE_TDX = 0x81;

// prettier-ignore
const INTEL_QE_VENDOR = Uint8Array.of(
  0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
);

/** Body types of version 5 (dcap.md C.2). SGX has type 1 and is supported in version 3 only. */
const TD_BODY_TYPES: ReadonlyMap<number, TdReport["reportVersion"]> = new Map([
  [2, "1.0"],
  [3, "1.5"],
  [4, "1.5-extended"],
]);

export type QuoteBody =
  { readonly tee: "sgx"; readonly report: SgxReport } | { readonly tee: "tdx"; readonly report: TdReport };

/** A quote as written: nothing in it is verified. Byte strings are views of the input. */
export interface Quote {
  readonly version: 3 | 4 | 5;
  /** 20 bytes; the first 16 identify the quoting enclave's installation. */
  readonly userData: Uint8Array;
  readonly body: QuoteBody;
  /** Header and body: what the attestation key signs. */
  readonly signed: Uint8Array;
  readonly signatureData: SignatureData;
}

/**
 * Reads an SGX quote of version 3 or a TDX quote of version 4 or 5 (dcap.md C.1, C.2). Every length must add up, and nothing
 * may follow. Throws `AttestationError` with a QUOTE_ code.
 */
export function parseQuote(bytes: Uint8Array): Quote {
  if (bytes.length > MAX_QUOTE_BYTES) throw refusal("QUOTE_TOO_LARGE");
  const { quote, end } = readQuote(bytes);
  if (end !== bytes.length) throw refusal("QUOTE_TRAILING_BYTES");
  return quote;
}

/**
 * Cuts zero bytes off the end of a quote, as cloud platforms append them. Anything but zeros after the quote is refused.
 * Returns the quote proper and how many bytes were dropped. Throws `AttestationError` with a QUOTE_ code.
 */
export function stripZeroPadding(bytes: Uint8Array): { quote: Uint8Array; droppedBytes: number } {
  if (bytes.length > MAX_QUOTE_BYTES) throw refusal("QUOTE_TOO_LARGE");
  const { end } = readQuote(bytes);
  if (!isZero(bytes.subarray(end))) throw refusal("QUOTE_TRAILING_BYTES");
  return { quote: bytes.subarray(0, end), droppedBytes: bytes.length - end };
}

function readQuote(bytes: Uint8Array): { quote: Quote; end: number } {
  const reader = new ByteReader(bytes);
  const { version, userData } = readHeader(new ByteReader(reader.take(HEADER_BYTES)));
  const body = version === 3 ? readSgxBody(reader) : version === 4 ? readTdBody(reader, "1.0") : readTypedBody(reader);
  const signed = bytes.subarray(0, reader.offset);
  const signature = reader.take(reader.uint32());
  const signatureData = version === 3 ? parseSignatureDataV3(signature) : parseSignatureDataV4(signature);
  return { quote: { version, userData, body, signed, signatureData }, end: reader.offset };
}

function readHeader(reader: ByteReader): Pick<Quote, "version" | "userData"> {
  const version = reader.uint16();
  if (version !== 3 && version !== 4 && version !== 5) throw refusal("QUOTE_VERSION_UNSUPPORTED");
  if (reader.uint16() !== ECDSA_P256) throw refusal("QUOTE_KEY_TYPE_UNSUPPORTED");
  if (reader.uint32() !== (version === 3 ? TEE_SGX : TEE_TDX)) throw refusal("QUOTE_TEE_UNSUPPORTED");
  // Version 3: QE SVN and PCE SVN, informative; later versions: reserved.
  reader.skip(4);
  if (!equalBytes(reader.take(16), INTEL_QE_VENDOR)) throw refusal("QUOTE_VENDOR_UNKNOWN");
  const userData = reader.take(20);
  reader.end();
  return { version, userData };
}

function readSgxBody(reader: ByteReader): QuoteBody {
  return { tee: "sgx", report: parseSgxReport(reader.take(SGX_REPORT_BYTES)) };
}

function readTdBody(reader: ByteReader, reportVersion: TdReport["reportVersion"]): QuoteBody {
  return { tee: "tdx", report: parseTdReport(reader.take(TD_REPORT_BYTES[reportVersion]), reportVersion) };
}

/** Version 5: a body descriptor (type, size) stands before the body. */
function readTypedBody(reader: ByteReader): QuoteBody {
  const reportVersion = TD_BODY_TYPES.get(reader.uint16());
  const size = reader.uint32();
  if (reportVersion === undefined || size !== TD_REPORT_BYTES[reportVersion]) throw refusal("QUOTE_MALFORMED");
  return readTdBody(reader, reportVersion);
}
