export { EnclaveError, type EnclaveErrorCode } from "./errors.ts";
export { acceptHostOptions, type HostOptions } from "./manifest/host-options.ts";
export { decodeManifest, encodeManifest, type EnclaveManifest, type ReplicaConfig } from "./manifest/manifest.ts";
export { measureSimulated } from "./manifest/measure.ts";
export { collectTrustedFiles, type Installation } from "./manifest/runtime-files.ts";
export type { PlatformDriver } from "./platform/driver.ts";
export { type LaunchOptions, launchSimulated, ReplicaRefusal, type RunningReplica } from "./simulated/launch.ts";
