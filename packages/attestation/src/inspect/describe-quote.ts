import { fromUtf8, toHex } from "@cloister/encoding";
import { parseChain } from "../chain/chain.ts";
import { parseQuote, stripZeroPadding } from "../quote/quote.ts";
import type { SgxReport } from "../quote/sgx-report.ts";
import type { TdReport } from "../quote/td-report.ts";
import { describeCertificate } from "./describe-certificate.ts";
import type { Detail } from "./inspection.ts";

type Details = { readonly [name: string]: Detail };

/** Bits of ATTRIBUTES.FLAGS (dcap.md C.1). */
const SGX_FLAGS: readonly (readonly [number, string])[] = [
  [0, "INIT"],
  [1, "DEBUG"],
  [2, "MODE64BIT"],
  [4, "PROVISION_KEY"],
  [5, "EINITTOKEN_KEY"],
  [6, "CET"],
  [7, "KSS"],
  [10, "AEX_NOTIFY"],
];

/** Bits of TDATTRIBUTES (dcap.md C.2). */
const TD_FLAGS: readonly (readonly [number, string])[] = [
  [0, "DEBUG"],
  [28, "SEPT_VE_DISABLE"],
  [30, "PKS"],
  [31, "KL"],
  [63, "PERFMON"],
];

/** A quote with its chain. Zero bytes after it are counted, not refused. Throws `AttestationError` with a QUOTE_ code. */
export function describeQuote(bytes: Uint8Array): Details {
  const { quote: proper, droppedBytes } = stripZeroPadding(bytes);
  const { version, userData, body, signatureData } = parseQuote(proper);
  return {
    version,
    tee: body.tee,
    bytes: proper.length,
    paddingBytes: droppedBytes,
    qeId: toHex(userData.subarray(0, 16)),
    report: body.tee === "sgx" ? describeSgxReport(body.report) : describeTdReport(body.report),
    quotingEnclave: describeSgxReport(signatureData.qeReport),
    certificates: describeChain(signatureData.pckChain),
  };
}

function describeSgxReport(report: SgxReport): Details {
  return {
    mrenclave: toHex(report.mrenclave),
    mrsigner: toHex(report.mrsigner),
    isvProdId: report.isvProdId,
    isvSvn: report.isvSvn,
    attributes: toHex(report.attributes),
    flags: flagNames(report.attributes, SGX_FLAGS),
    miscSelect: report.miscSelect,
    cpuSvn: toHex(report.cpuSvn),
    configId: toHex(report.configId),
    configSvn: report.configSvn,
    reportData: toHex(report.reportData),
  };
}

function describeTdReport(report: TdReport): Details {
  return {
    layout: report.reportVersion,
    mrTd: toHex(report.mrTd),
    rtmrs: report.rtmrs.map(toHex),
    mrConfigId: toHex(report.mrConfigId),
    mrOwner: toHex(report.mrOwner),
    mrOwnerConfig: toHex(report.mrOwnerConfig),
    tdAttributes: toHex(report.tdAttributes),
    flags: flagNames(report.tdAttributes, TD_FLAGS),
    xfam: toHex(report.xfam),
    teeTcbSvn: toHex(report.teeTcbSvn),
    mrSeam: toHex(report.mrSeam),
    mrSignerSeam: toHex(report.mrSignerSeam),
    reportData: toHex(report.reportData),
  };
}

function describeChain(pem: Uint8Array): Detail {
  try {
    const text = fromUtf8(pem)?.replace(/\0$/, "") ?? "";
    return parseChain("PCK_CHAIN", text).map(describeCertificate);
  } catch {
    return "cannot be read";
  }
}

function flagNames(bytes: Uint8Array, names: readonly (readonly [number, string])[]): readonly string[] {
  return names.flatMap(([bit, name]) => (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1 ? [name] : []));
}
