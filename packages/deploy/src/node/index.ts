// `@cloister/deploy/node`: machines become nodes of a cluster.
export { bootstrapPlan } from "./plan.ts";
export { runSteps, type StepResult } from "./run.ts";
export { bootstrapScript } from "./script.ts";
export { NODE_ROLES, type NodeRole, type NodeSettings, readNodeSettings } from "./settings.ts";
export { localShell } from "./shell.ts";
export { type BootstrapStep, checkScript, runScript } from "./step.ts";
