export type { AttackResult } from "./attacks/attack.ts";
export { type Chain, type ChainOptions, startChain } from "./chain/chain.ts";
export type { ChainEvent, Observe, StepName } from "./chain/events.ts";
export type { InferenceOptions, InferenceResult, SampleResult } from "./chain/inference.ts";
export { importModel, type ImportOptions, modelNameOf, type OwnedModel, readModel } from "./chain/model.ts";
export { SERVING_NAME } from "./chain/owner.ts";
export type { ChainReport, InferenceReport } from "./chain/report.ts";
export { DeployError, type DeployErrorCode } from "./errors.ts";
