// `@cloister/attestation/maa`: Microsoft Azure Attestation as a verifier beside our own.
export { appraiseMaaToken, type MaaEvidence } from "./appraise-token.ts";
export { parseMaaKeys, type MaaKey, type MaaKeys } from "./jwks.ts";
export type { MaaProvider } from "./provider.ts";
