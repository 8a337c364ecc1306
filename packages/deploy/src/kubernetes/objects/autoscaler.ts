import type { V2HorizontalPodAutoscaler, V2MetricSpec } from "@kubernetes/client-node";
import { type ApiObject, metadataOf, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";

/** Calls that a replica works on, as our metrics adapter names it. */
const CALLS_METRIC = "cloister_running_calls";
/** The replicas' counter behind it: its rate is how many calls ran on average. */
const CALL_SECONDS = ":cloister:call_seconds";

/**
 * Scales by the calls that replicas work on, and by processor time beside it: the higher answer counts. Where one metric
 * cannot be had, the other still scales up, and nothing is scaled down. Replicas go one at a time.
 */
export function autoscaler(source: Source): V2HorizontalPodAutoscaler & ApiObject {
  const cpu: V2MetricSpec = {
    type: "Resource",
    resource: {
      name: "cpu",
      target: { type: "Utilization", averageUtilization: source.number("autoscaling.cpuPercent") },
    },
  };
  const calls: V2MetricSpec = {
    type: "Pods",
    pods: {
      metric: { name: CALLS_METRIC },
      target: { type: "AverageValue", averageValue: source.text("autoscaling.callsPerReplica") },
    },
  };
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: source.text("name") },
      minReplicas: source.number("replicas.minimum"),
      maxReplicas: source.number("replicas.maximum"),
      metrics: [
        source.when({ path: "autoscaling.kind", is: ["calls"] }, calls),
        source.when({ path: "autoscaling.hasCpu", is: true }, cpu),
      ],
      behavior: {
        scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
        scaleDown: {
          stabilizationWindowSeconds: source.number("autoscaling.scaleDownSeconds"),
          policies: [{ type: "Pods", value: 1, periodSeconds: 15 }],
        },
      },
    },
  };
}

/** The same for clusters with KEDA, which asks Prometheus. */
export function scaledObject(source: Source): ApiObject & { spec: object } {
  const labels = selectorLabels(source);
  const instance = labels["app.kubernetes.io/instance"] ?? "";
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: source.text("name") },
      minReplicaCount: source.number("replicas.minimum"),
      maxReplicaCount: source.number("replicas.maximum"),
      cooldownPeriod: source.number("autoscaling.scaleDownSeconds"),
      triggers: [
        {
          type: "prometheus",
          metadata: {
            serverAddress: source.text("autoscaling.prometheus"),
            query: `sum(rate(${CALL_SECONDS}{namespace="${source.text("namespace")}",pod=~"${instance}-.*"}[1m]))`,
            threshold: source.text("autoscaling.callsPerReplica"),
          },
        },
      ],
    },
  };
}
