/** X.509 certificates and revocation lists (RFC 5280): syntax, no cryptography. */
export { parseCertificate, type Certificate } from "./x509/certificate.ts";
export { parseCrl, type CertificateRevocationList } from "./x509/crl.ts";
export type { AlgorithmIdentifier, Extension } from "./x509/fields.ts";
export { COMMON_NAME, nameAttribute, type DistinguishedName, type NameAttribute } from "./x509/name.ts";
export {
  EXTENSION_OID,
  findExtension,
  readBasicConstraints,
  readCrlNumber,
  readKeyUsage,
  type BasicConstraints,
  type KeyUsage,
} from "./x509/standard-extensions.ts";
