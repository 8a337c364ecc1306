// `@cloister/deploy/cluster`: what speaks to a cluster. Commands load it when they need it.
export type { ClusterApi } from "./api.ts";
export { applyObjects, type ObjectChange } from "./apply.ts";
export { type ClusterChoice, connectCluster } from "./connect.ts";
export { deleteDeployment } from "./delete.ts";
export { readLogs } from "./logs.ts";
export { refuseTakenNamespace } from "./namespace-taken.ts";
export { type DeploymentName, listPods, type ReplicaPod } from "./pods.ts";
export { findStale, pruneObjects } from "./prune.ts";
export { waitForRollout } from "./rollout.ts";
export { scaleDeployment } from "./scale.ts";
export { simulatedPlatformSecret } from "./simulated-platform.ts";
export { replicaStatus, type ReplicaStatus } from "./status.ts";
export { type AttestedReplica, checkReport, verifyReplicas, type VerifyReport } from "./verify.ts";
