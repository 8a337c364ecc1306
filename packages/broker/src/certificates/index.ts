/** The owner's TLS material: an authority, server and client certificates, and `ssl.cfg` for stock TensorFlow Serving. */
export { createAuthority, openAuthority, type AuthorityOptions, type CertificateAuthority } from "./authority.ts";
export {
  issueClientCertificate,
  issueServerCertificate,
  type ClientCertificateOptions,
  type IssuedCertificate,
  type ServerCertificateOptions,
  type SubjectKey,
} from "./issue.ts";
export { generatePrivateKey, PrivateKey, readPrivateKey, type PrivateKeyType } from "./private-key.ts";
export { createServingCa } from "./serving-ca.ts";
export { writeTlsFolder, type TlsFolderOptions } from "./tls-folder.ts";
export { writeSslConfig, type SslConfigFields } from "./ssl-config.ts";
