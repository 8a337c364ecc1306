export { aesCmac } from "./cmac.ts";
export { EXPLANATIONS, type ProtectedFileCode, ProtectedFileError } from "./errors.ts";
export { type FormatVersion } from "./metadata.ts";
export { type NodeCipher, nodeCryptoCipher } from "./node-cipher.ts";
export { ANY_PATH, openFile, type OpenOptions } from "./open.ts";
export { type BoundPath, bindPath, MAX_PATH_BYTES, normalisePath } from "./path.ts";
export { type RandomSource } from "./random.ts";
export { sealFile, type SealOptions } from "./seal.ts";
export { STOCK_TOLERANCES, type Tolerance } from "./tolerance.ts";
export {
  type BundleFile,
  type BundleManifest,
  decodeBundleManifest,
  describeFile,
  encodeBundleManifest,
  type SignedBundleManifest,
} from "./bundle/manifest.ts";
export { bundleBoundPath, type ModelVersion } from "./bundle/names.ts";
export {
  type BundleExpectation,
  checkBundleManifest,
  type CheckManifestOptions,
  openBundle,
  type OpenBundleOptions,
  type VerifiedModel,
} from "./bundle/open.ts";
export { sealBundle, type SealBundleOptions, type SealedBundle, signBundleManifest } from "./bundle/seal.ts";
export { openStream } from "./open-stream.ts";
export { ProtectedFileReader } from "./reader.ts";
export { reKeyNodeZero, type ReKeyOptions } from "./re-key.ts";
export { memorySource, type SealedSource } from "./source.ts";
export { type FileInspection, inspectFile, type VerifiedInspection } from "./inspect.ts";
export { reKeyBundle, type ReKeyBundleOptions } from "./bundle/re-key.ts";
export { findLeak, type KnownSecrets, type Leak } from "./roles/leaks.ts";
export { buildRoleBundle, checkRoleBundle, type Role, type RoleBundle } from "./roles/roles.ts";
