import { equalBytes } from "@cloister/encoding";
import {
  COMMON_NAME,
  EXTENSION_OID,
  findExtension,
  nameAttribute,
  readBasicConstraints,
  readKeyUsage,
  type AlgorithmIdentifier,
  type Certificate,
} from "@cloister/encoding/x509";

/** Places in the hierarchy (dcap.md C.3). */
export type Role = "root" | "pck-ca" | "pck" | "tcb-signer";

export const SGX_EXTENSION_OID = "1.2.840.113741.1.13.1";

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
/** OBJECT IDENTIFIER 1.2.840.10045.3.1.7 (P-256), DER. */
const P256_PARAMETERS = Uint8Array.of(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07);
const UNCOMPRESSED_POINT = 0x04;

const REQUIRED_EXTENSIONS = [
  EXTENSION_OID.authorityKeyIdentifier,
  EXTENSION_OID.crlDistributionPoints,
  EXTENSION_OID.subjectKeyIdentifier,
  EXTENSION_OID.keyUsage,
  EXTENSION_OID.basicConstraints,
];
const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([...REQUIRED_EXTENSIONS, SGX_EXTENSION_OID]);

const PROCESSOR_CA = "SGX PCK Processor CA";

/** Phrases of the common names. Simulated platforms have them too, with a word before them. */
const PHRASES: Readonly<Record<Role, readonly string[]>> = {
  root: ["SGX Root CA"],
  "pck-ca": ["SGX PCK Platform CA", PROCESSOR_CA],
  pck: ["SGX PCK Certificate"],
  "tcb-signer": ["SGX TCB Signing"],
};

/** How many CA certificates may stand below a CA in this role. */
const CA_DEPTH: Readonly<Record<Role, number | undefined>> = {
  root: 1,
  "pck-ca": 0,
  pck: undefined,
  "tcb-signer": undefined,
};

/** Whether the common name has the phrase of the role. */
export function hasRole(certificate: Certificate, role: Role): boolean {
  const commonName = nameAttribute(certificate.subject, COMMON_NAME);
  return commonName !== undefined && PHRASES[role].some((phrase) => commonName.includes(phrase));
}

/** Whether a PCK CA is the one for processors, and not the one for platforms. */
export function isProcessorCa(ca: Certificate): boolean {
  return nameAttribute(ca.subject, COMMON_NAME)?.includes(PROCESSOR_CA) === true;
}

/**
 * Whether the certificate is of the kind that the role asks for: version 3, ECDSA on P-256 with SHA-256, the five standard
 * extensions, no unknown critical one, CA flag, path length and key usage. Signature and dates are not looked at.
 */
export function hasProfile(certificate: Certificate, role: Role): boolean {
  try {
    return (
      certificate.version === 3 &&
      isEcdsaWithSha256(certificate.signatureAlgorithm) &&
      hasP256Key(certificate) &&
      hasKnownExtensions(certificate) &&
      hasConstraints(certificate, CA_DEPTH[role])
    );
  } catch {
    // The content of an extension is not what its OID says.
    return false;
  }
}

export function isEcdsaWithSha256(algorithm: AlgorithmIdentifier): boolean {
  return algorithm.oid === ECDSA_WITH_SHA256 && algorithm.parameters === undefined;
}

/** Whether the key usage says that the key may sign revocation lists. */
export function maySignCrls(certificate: Certificate): boolean {
  const usage = findExtension(certificate, EXTENSION_OID.keyUsage);
  return usage !== undefined && readKeyUsage(usage.value).has("cRLSign");
}

function hasP256Key({ publicKeyAlgorithm, publicKey }: Certificate): boolean {
  return (
    publicKeyAlgorithm.oid === EC_PUBLIC_KEY &&
    publicKeyAlgorithm.parameters !== undefined &&
    equalBytes(publicKeyAlgorithm.parameters, P256_PARAMETERS) &&
    publicKey.length === 65 &&
    publicKey[0] === UNCOMPRESSED_POINT
  );
}

function hasKnownExtensions(certificate: Certificate): boolean {
  const present = new Set(certificate.extensions.map(({ oid }) => oid));
  return (
    REQUIRED_EXTENSIONS.every((oid) => present.has(oid)) &&
    certificate.extensions.every(({ oid, critical }) => !critical || KNOWN_EXTENSIONS.has(oid))
  );
}

function hasConstraints(certificate: Certificate, caDepth: number | undefined): boolean {
  const constraints = findExtension(certificate, EXTENSION_OID.basicConstraints);
  const usage = findExtension(certificate, EXTENSION_OID.keyUsage);
  if (constraints?.critical !== true || usage?.critical !== true) return false;
  const { isCa, pathLength } = readBasicConstraints(constraints.value);
  const usages = readKeyUsage(usage.value);
  if (caDepth === undefined) return !isCa && usages.has("digitalSignature") && !usages.has("keyCertSign");
  return isCa && usages.has("keyCertSign") && (pathLength === undefined || pathLength >= caDepth);
}
