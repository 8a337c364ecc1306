import type { ApiObject, ObjectFactory } from "./api-object.ts";
import { admissionPolicy, admissionPolicyBinding } from "./objects/admission-policy.ts";
import { autoscaler, scaledObject } from "./objects/autoscaler.ts";
import {
  brokerAccount,
  brokerBudget,
  brokerClaim,
  brokerDeployment,
  brokerInside,
  brokerNetworkPolicy,
  brokerStatefulSet,
} from "./objects/broker.ts";
import { modelConfig, quoteConfig, replicaConfig } from "./objects/config-maps.ts";
import { deployment, disruptionBudget } from "./objects/deployment.ts";
import { gateway, legacyIngress, tlsRoute } from "./objects/gateway.ts";
import {
  adapterAccount,
  adapterApi,
  adapterAuthentication,
  adapterBinding,
  adapterDeployment,
  adapterRole,
  adapterService,
} from "./objects/metrics-adapter.ts";
import { azureClaim, azureVolume } from "./objects/model-volume.ts";
import { namespace, serviceAccount } from "./objects/namespace.ts";
import { networkPolicy } from "./objects/network-policy.ts";
import { brokerByName, brokerEndpoint, brokerService, headlessService, service } from "./objects/services.ts";
import {
  simulatedAccount,
  simulatedBinding,
  simulatedNamespace,
  simulatedPlugin,
  simulatedRole,
} from "./objects/simulated-sgx.ts";
import { type Condition, type Source, valueSource } from "./source.ts";
import type { Values } from "./values.ts";
import { withoutGaps } from "./without-gaps.ts";

/** An object of the deployment, and what it depends on. */
export interface Entry {
  /** Name of its file. */
  readonly file: string;
  readonly condition?: Condition;
  /** Needed for the broker in the cluster alone too. */
  readonly part?: "broker";
  readonly make: ObjectFactory;
}

const on = (path: string): Condition => ({ path, is: true });
const one = (path: string, ...is: string[]): Condition => ({ path, is });
const SIMULATED = one("preset", "simulation");
const IN_CLUSTER = one("broker.workload", "file", "postgresql");
const ADAPTER = on("autoscaling.adapter");

/** Every object that there can be, in the order in which they are applied. */
export const ENTRIES: readonly Entry[] = [
  { file: "namespace", condition: on("createNamespace"), part: "broker", make: namespace },
  { file: "service-account", make: serviceAccount },
  { file: "replica-config", make: replicaConfig },
  { file: "model-config", make: modelConfig },
  { file: "pccs-config", make: quoteConfig },
  { file: "admission-policy", condition: on("admissionPolicy"), make: admissionPolicy },
  { file: "admission-policy-binding", condition: on("admissionPolicy"), make: admissionPolicyBinding },
  { file: "network-policy", condition: on("networkPolicy"), make: networkPolicy },
  { file: "broker-name", condition: one("broker.kind", "external-name"), make: brokerByName },
  { file: "broker-service", condition: one("broker.kind", "endpoint"), make: brokerService },
  { file: "broker-endpoint", condition: one("broker.kind", "endpoint"), make: brokerEndpoint },
  { file: "broker-account", condition: IN_CLUSTER, part: "broker", make: brokerAccount },
  {
    file: "broker-network-policy",
    condition: on("broker.hasNetworkPolicy"),
    part: "broker",
    make: brokerNetworkPolicy,
  },
  { file: "broker-claim", condition: one("broker.workload", "file"), part: "broker", make: brokerClaim },
  { file: "broker-inside", condition: IN_CLUSTER, part: "broker", make: brokerInside },
  { file: "broker-stateful-set", condition: one("broker.workload", "file"), part: "broker", make: brokerStatefulSet },
  {
    file: "broker-deployment",
    condition: one("broker.workload", "postgresql"),
    part: "broker",
    make: brokerDeployment,
  },
  { file: "broker-budget", condition: one("broker.workload", "postgresql"), part: "broker", make: brokerBudget },
  { file: "model-volume", condition: one("modelDelivery.kind", "azure-files"), make: azureVolume },
  { file: "model-claim", condition: one("modelDelivery.kind", "azure-files"), make: azureClaim },
  { file: "simulated-sgx-namespace", condition: SIMULATED, make: simulatedNamespace },
  { file: "simulated-sgx-account", condition: SIMULATED, make: simulatedAccount },
  { file: "simulated-sgx-role", condition: SIMULATED, make: simulatedRole },
  { file: "simulated-sgx-binding", condition: SIMULATED, make: simulatedBinding },
  { file: "simulated-sgx-plugin", condition: SIMULATED, make: simulatedPlugin },
  { file: "service", make: service },
  { file: "headless-service", make: headlessService },
  { file: "deployment", make: deployment },
  { file: "disruption-budget", make: disruptionBudget },
  { file: "metrics-account", condition: ADAPTER, make: adapterAccount },
  { file: "metrics-role", condition: ADAPTER, make: adapterRole },
  { file: "metrics-binding", condition: ADAPTER, make: adapterBinding },
  { file: "metrics-authentication", condition: ADAPTER, make: adapterAuthentication },
  { file: "metrics-deployment", condition: ADAPTER, make: adapterDeployment },
  { file: "metrics-service", condition: ADAPTER, make: adapterService },
  { file: "metrics-api", condition: ADAPTER, make: adapterApi },
  { file: "autoscaler", condition: one("autoscaling.kind", "calls", "cpu"), make: autoscaler },
  { file: "scaled-object", condition: one("autoscaling.kind", "keda"), make: scaledObject },
  { file: "gateway", condition: one("gateway.kind", "nginx", "envoy"), make: gateway },
  { file: "tls-route", condition: one("gateway.kind", "nginx", "envoy"), make: tlsRoute },
  { file: "ingress", condition: one("gateway.kind", "ingress"), make: legacyIngress },
];

/** An object with the name of its file. */
export interface RenderedObject {
  readonly file: string;
  readonly object: ApiObject;
}

/** Everything, or only the broker in the cluster and the namespace that it is in. */
export type DeploymentPart = "all" | "broker";

/** The objects that values ask for, in the order in which they are applied. */
export function renderObjects(values: Values, part: DeploymentPart = "all"): RenderedObject[] {
  const source: Source = valueSource(values);
  const entries = part === "all" ? ENTRIES : ENTRIES.filter((entry) => entry.part === part);
  return entries.flatMap(({ file, condition, make }) => {
    const object = condition === undefined ? make(source) : source.when<ApiObject | undefined>(condition, make(source));
    return object === undefined ? [] : [{ file, object: withoutGaps(object) }];
  });
}
