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
export { type ChannelArguments, type ConnectionCare, readChannelArguments } from "./rpc/connection-care.ts";
export { DEFAULT_LIMITS, type RpcLimits } from "./rpc/limits.ts";
export type { EndedCall } from "./rpc/unary-call.ts";
export { OtlpExporter } from "./tracing/otlp-exporter.ts";
export type { ModelServerTls } from "./rpc/tls.ts";
export { readSslConfig } from "./ssl-config.ts";
export { ModelRegistry, type ServableHandle, type VersionState, type VersionStatus } from "./serving/registry.ts";
export type { LifecycleEvent } from "./lifecycle/aspired-model.ts";
export { LATEST_VERSION, readModelConfigText, type ServedModel } from "./lifecycle/model-config.ts";
export { readMonitoringConfig } from "./metrics/monitoring-config.ts";
export type { BatchingChoice } from "./batching/batched.ts";
export { type BatchingOptions, defaultBatching, readBatchingParameters } from "./batching/batching-parameters.ts";
export { anySource, type AnySourceOptions } from "./sources/any-source.ts";
export type { ModelSource } from "./sources/model-source.ts";
export type { StoreCredentials } from "./sources/sign-v4.ts";
export { type BundleKeys, sealedSource } from "./sources/sealed.ts";
