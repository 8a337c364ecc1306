// `@cloister/enclave/doctor`: what a machine lacks for its purpose, and what error numbers mean.
export { type Cloud, CLOUD_NAMES, type CloudName, CLOUDS } from "./clouds.ts";
export { diagnose } from "./diagnose.ts";
export { ERROR_NUMBERS, type ErrorNumber } from "./error-numbers.ts";
export { explainError, type Meaning } from "./explain.ts";
export { type HostFacts, type Purpose, PURPOSES } from "./facts.ts";
export type { Finding, Severity } from "./finding.ts";
export { gatherFacts, type GatherOptions } from "./gather.ts";
