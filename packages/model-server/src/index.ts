export { ModelServerError, type ModelServerErrorCode } from "./errors.ts";
export type { EvidenceSource } from "./evidence/evidence.ts";
export {
  type ModelServer,
  type ModelServerOptions,
  type ModelToServe,
  type ServedFolders,
  REPLICA_HEADER,
  startModelServer,
} from "./model-server.ts";
export type { RpcLimits } from "./rpc/limits.ts";
export type { ModelServerTls } from "./rpc/tls.ts";
export { readSslConfig } from "./ssl-config.ts";
export { ModelRegistry, type ServableHandle, type VersionState, type VersionStatus } from "./serving/registry.ts";
export type { LifecycleEvent } from "./lifecycle/aspired-model.ts";
export { LATEST_VERSION, readModelConfigText, type ServedModel } from "./lifecycle/model-config.ts";
export { readMonitoringConfig } from "./metrics/monitoring-config.ts";
export { type BatchingOptions, defaultBatching, readBatchingParameters } from "./batching/batching-parameters.ts";
