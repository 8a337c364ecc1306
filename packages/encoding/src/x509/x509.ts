/** X.509 certificates and revocation lists (RFC 5280): syntax, no cryptography. */
export { parseCertificate, type Certificate } from "./certificate.ts";
export { parseCrl, type CertificateRevocationList } from "./crl.ts";
export type { AlgorithmIdentifier, Extension } from "./fields.ts";
export { COMMON_NAME, nameAttribute, type DistinguishedName, type NameAttribute } from "./name.ts";
export {
  EXTENSION_OID,
  findExtension,
  readBasicConstraints,
  readCrlNumber,
  readKeyUsage,
  type BasicConstraints,
  type KeyUsage,
} from "./standard-extensions.ts";
