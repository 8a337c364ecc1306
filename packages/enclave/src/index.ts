export { EnclaveError, type EnclaveErrorCode } from "./errors.ts";
export { acceptHostOptions, type HostOptions } from "./manifest/host-options.ts";
export { decodeManifest, encodeManifest, type EnclaveManifest, type ReplicaConfig } from "./manifest/manifest.ts";
export { measureSimulated } from "./manifest/measure.ts";
export {
  checkTrustedFiles,
  collectTrustedFiles,
  type Installation,
  entryFile,
  listTrustedFiles,
} from "./manifest/runtime-files.ts";
export type { PlatformDriver } from "./platform/driver.ts";
export { type LaunchOptions, launchSimulated, ReplicaRefusal, type RunningReplica } from "./simulated/launch.ts";
export { type GramineManifest, readGramineManifest } from "./sgx/gramine-manifest.ts";
export { type MeasuredManifest, measureManifest } from "./sgx/measure-file.ts";
export { computeMrenclave } from "./sgx/mrenclave.ts";
export { signWithCommand } from "./sgx/sign-command.ts";
export { assembleSigstruct, mrsigner, signedBytes, signEnclave } from "./sgx/sigstruct.ts";
export { replicaManifest } from "./manifest/replica-manifest.ts";
export { PLATFORMS, type PlatformName } from "./platform/driver.ts";
export { type HardwareName, openPlatform } from "./platform/open-platform.ts";
export { withPatience } from "./replica/patience.ts";
export { serveUntilStopped } from "./replica/until-stopped.ts";
export { makeSimulatedPlatform, openSimulatedPlatform, SIMULATED_FILES } from "./simulated/keep-platform.ts";
export { runSimulated } from "./simulated/run.ts";
export { remoteQuotes } from "./simulated/quoting/client.ts";
export { QUOTING_SOCKET, type QuoteSource } from "./simulated/quoting/protocol.ts";
export { startQuotingService } from "./simulated/quoting/service.ts";
export { GRAMINE_INSTALLATION } from "./gramine/manifest-parts.ts";
export { enclaveShape, type Runtime, RUNTIME_NAMES } from "./gramine/size.ts";
export { type WrittenManifest, writeReplicaGramine, writeServingGramine } from "./gramine/write.ts";
export type { LintFinding, LintSeverity } from "./lint/finding.ts";
export { lintManifest } from "./lint/lint.ts";
export { upgradeManifestText } from "./lint/upgrade.ts";
export { type Difference, explainDifference } from "./explain.ts";
export { policyEntry, policyIdentity } from "./manifest/policy-entry.ts";
