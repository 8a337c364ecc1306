import type { V1Deployment, V1PodDisruptionBudget } from "@kubernetes/client-node";
import { type ApiObject, DOMAIN, MEASUREMENT_ANNOTATION, metadataOf, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { replicaPod } from "./replica-pod.ts";

/** The replicas. A new version comes up, is admitted and takes requests before one of the old goes. */
export function deployment(source: Source): V1Deployment & ApiObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      ...metadataOf(source, source.text("name")),
      annotations: { [MEASUREMENT_ANNOTATION]: source.text("measurement"), [`${DOMAIN}/tee`]: source.text("preset") },
    },
    spec: {
      // Where something scales, the number is not ours.
      replicas: source.when({ path: "autoscaling.kind", is: ["none"] }, source.number("replicas.minimum")),
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorLabels(source) },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: replicaPod(source),
    },
  };
}

/** Drains take replicas one at a time. */
export function disruptionBudget(source: Source): V1PodDisruptionBudget & ApiObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      maxUnavailable: 1,
      // A pod that was never admitted serves nobody and must not hold up a drain.
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: selectorLabels(source) },
    },
  };
}
