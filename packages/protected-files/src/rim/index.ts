export { writeFileAtomically, type WriteOptions } from "./atomic-file.ts";
export { type ChosenCipher, chooseNodeCipher, nodeCipher } from "./choose-cipher.ts";
export { fileSource, readNodeZero, withInput } from "./file-io.ts";
export { type OpenedFileInfo, openFileTo, type OpenFileToOptions, withReader } from "./open-file.ts";
export { type ReEncryptOptions, reEncryptFile, reKeyFile, repairReKey } from "./re-key-file.ts";
export { type SealedFileInfo, sealFileTo, type SealFileToOptions, type WorkOptions } from "./seal-file.ts";
export {
  listTree,
  readTree,
  type TreeFile,
  type TreeLimits,
  writeTreeAtomically,
  type WriteTreeOptions,
} from "./tree.ts";
export { WorkerPool } from "./worker-pool.ts";
export { generateWrapKey, type KeyFile, readKeyFile, writeKeyFile } from "./key-file.ts";
export {
  type CryptedFile,
  type CryptPathOptions,
  decryptPath,
  type DecryptPathOptions,
  encryptPath,
  type EncryptPathOptions,
} from "./crypt-path.ts";
export { sealBundleTo, type SealBundleToOptions } from "./seal-bundle.ts";
export { openBundleTo, type OpenBundleToOptions, verifyBundleIn } from "./open-bundle.ts";
export { reKeyBundleIn, type ReKeyBundleInOptions } from "./re-key-bundle.ts";
export {
  newestIssued,
  ownerKeyPath,
  ownerSigningKey,
  ownerWrapKey,
  readOwnerKey,
  recordIssued,
  takeGeneration,
  wrapKeyPath,
} from "./owner-keys.ts";
