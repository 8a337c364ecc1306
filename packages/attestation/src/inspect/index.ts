import { equalBytes, fromHex, fromUtf8, utf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import { parsePem } from "@cloister/encoding/pem";
import { parseCertificate, parseCrl } from "@cloister/encoding/x509";
import { decodeCollateral } from "../collateral/collateral.ts";
import { AttestationError, refusal } from "../errors.ts";
import { INTENDED_LEGACY_QUOTE_OID, LEGACY_QUOTE_OID, TAGGED_EVIDENCE_OID } from "../ra-tls/evidence.ts";
import { describeCertificate, describeCrl, isPck } from "./describe-certificate.ts";
import { describeCollateral, describeQeIdentity, describeTcbInfo, documentKind } from "./describe-documents.ts";
import { describeRaTls } from "./describe-ra-tls.ts";
import { describeQuote } from "./describe-quote.ts";
import type { Inspection } from "./inspection.ts";

export { collateralItems, collateralPlatform } from "./describe-documents.ts";
export { printable, type Detail, type Inspection, type ItemKind } from "./inspection.ts";

const DER_SEQUENCE = 0x30;
const EVIDENCE_OIDS: ReadonlySet<string> = new Set([LEGACY_QUOTE_OID, INTENDED_LEGACY_QUOTE_OID, TAGGED_EVIDENCE_OID]);

/**
 * Reads an item of unknown kind for people: a quote, a certificate (RA-TLS, PCK or other) or chain, a revocation list, TCB info,
 * a QE identity or stored collateral; binary, PEM, JSON, hex or base64. Nothing in it is verified.
 * Throws `AttestationError` ITEM_UNKNOWN, or with a QUOTE_ or RA_TLS_ code for evidence that is broken.
 */
export function inspectItem(bytes: Uint8Array): Inspection {
  try {
    return inspectBinary(bytes) ?? inspectText(fromUtf8(bytes)?.trim() ?? "");
  } catch (error) {
    // What begins like a quote or carries evidence, and is broken, is told apart from the unknown.
    if (error instanceof AttestationError && /^(QUOTE|RA_TLS)_/.test(error.code)) throw error;
    throw refusal("ITEM_UNKNOWN", error);
  }
}

/** The binary forms, by how they begin: DER with a SEQUENCE, a quote with its version and key type. */
function inspectBinary(bytes: Uint8Array): Inspection | undefined {
  if (isQuote(bytes)) return { kind: "quote", bytes, details: describeQuote(bytes) };
  if (bytes[0] !== DER_SEQUENCE || isText(bytes)) return undefined;
  return inspectCertificate(bytes) ?? { kind: "crl", bytes, details: describeCrl(parseCrl(bytes)) };
}

function inspectText(text: string): Inspection {
  if (text.startsWith("-----BEGIN")) return inspectPem(`${text}\n`);
  if (text.startsWith("{")) return inspectJson(utf8(text));
  const packed = text.replaceAll(/\s+/g, "");
  const bytes = fromHex(packed) ?? fromBase64(packed);
  const found = bytes === undefined || bytes.length === 0 ? undefined : inspectBinary(bytes);
  if (found === undefined) throw refusal("ITEM_UNKNOWN");
  return found;
}

function inspectPem(text: string): Inspection {
  if (text.startsWith("-----BEGIN X509 CRL-----")) {
    const [der = new Uint8Array()] = parsePem(text, "X509 CRL");
    return { kind: "crl", bytes: der, details: describeCrl(parseCrl(der)) };
  }
  const [first = new Uint8Array(), ...others] = parsePem(text, "CERTIFICATE");
  const single = others.length === 0 ? inspectCertificate(first) : undefined;
  if (single !== undefined) return single;
  const certificates = [first, ...others].map((der) => describeCertificate(parseCertificate(der)));
  return { kind: "certificate-chain", bytes: utf8(text), details: { certificates } };
}

function inspectJson(bytes: Uint8Array): Inspection {
  const kind = documentKind(bytes);
  if (kind === "tcb-info") return { kind, bytes, details: describeTcbInfo(bytes) };
  if (kind === "qe-identity") return { kind, bytes, details: describeQeIdentity(bytes) };
  return { kind: "collateral", bytes, details: describeCollateral(decodeCollateral(bytes)) };
}

/** `undefined` where it is no certificate at all. */
function inspectCertificate(der: Uint8Array): Inspection | undefined {
  let certificate: ReturnType<typeof parseCertificate>;
  try {
    certificate = parseCertificate(der);
  } catch {
    return undefined;
  }
  if (certificate.extensions.some(({ oid }) => EVIDENCE_OIDS.has(oid))) {
    return { kind: "ra-tls-certificate", bytes: der, details: describeRaTls(der) };
  }
  const kind = isPck(certificate) ? "pck-certificate" : "certificate";
  return { kind, bytes: der, details: describeCertificate(certificate) };
}

/** Version 3, 4 or 5 and key type 2, little endian. */
function isQuote(bytes: Uint8Array): boolean {
  const [version = 0] = bytes;
  return version >= 3 && version <= 5 && equalBytes(bytes.subarray(1, 4), Uint8Array.of(0, 2, 0));
}

/** The digit 0, with which hex of a little-endian number can begin, has the code of a SEQUENCE. */
function isText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 64).every((byte) => byte >= 0x20 && byte < 0x7f);
}
