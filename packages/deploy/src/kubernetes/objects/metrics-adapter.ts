import type {
  V1APIService,
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1Deployment,
  V1RoleBinding,
  V1Service,
  V1ServiceAccount,
} from "@kubernetes/client-node";
import { type ApiObject, clusterMetadataOf, commonLabels, metadataOf, PART_OF } from "../api-object.ts";
import type { Source } from "../source.ts";
import { NODE_EXECUTABLE, PROGRAM_FOLDER } from "./layout.ts";
import { restrictedContainer, restrictedPod } from "./security.ts";

// Gives the autoscaler the calls of each replica, as the custom metrics API of the cluster. There can be one such API only.
const ADAPTER = `${PROGRAM_FOLDER}/packages/deploy/src/kubernetes/metrics-adapter/main.ts`;
const ADAPTER_PORT = 6443;
const LABELS = { "app.kubernetes.io/name": "cloister-metrics" };

const nameOf = (source: Source): string => `${source.text("name")}-metrics`;
const clusterNameOf = (source: Source): string => `${source.text("namespace")}-${nameOf(source)}`;
const adapterLabels = (source: Source) => ({ ...LABELS, "app.kubernetes.io/instance": source.text("name") });
const labelsOf = (source: Source) => ({ ...commonLabels(source), ...LABELS });
const subjects = (source: Source) => [
  { kind: "ServiceAccount", name: nameOf(source), namespace: source.text("namespace") },
];

export function adapterAccount(source: Source): V1ServiceAccount & ApiObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { ...metadataOf(source, nameOf(source)), labels: labelsOf(source) },
  };
}

export function adapterRole(source: Source): V1ClusterRole & ApiObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { ...clusterMetadataOf(source, clusterNameOf(source)), labels: labelsOf(source) },
    rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
  };
}

export function adapterBinding(source: Source): V1ClusterRoleBinding & ApiObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { ...clusterMetadataOf(source, clusterNameOf(source)), labels: labelsOf(source) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: clusterNameOf(source) },
    subjects: subjects(source),
  };
}

/** Lets the adapter read which authority signs the API server's own client certificate. */
export function adapterAuthentication(source: Source): V1RoleBinding & ApiObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: {
      ...clusterMetadataOf(source, clusterNameOf(source)),
      namespace: "kube-system",
      labels: labelsOf(source),
    },
    roleRef: {
      apiGroup: "rbac.authorization.k8s.io",
      kind: "Role",
      name: "extension-apiserver-authentication-reader",
    },
    subjects: subjects(source),
  };
}

export function adapterDeployment(source: Source): V1Deployment & ApiObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { ...metadataOf(source, nameOf(source)), labels: labelsOf(source) },
    spec: {
      replicas: 1,
      selector: { matchLabels: adapterLabels(source) },
      template: {
        metadata: { labels: { ...adapterLabels(source), "app.kubernetes.io/part-of": PART_OF } },
        spec: {
          serviceAccountName: nameOf(source),
          securityContext: restrictedPod(),
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "adapter",
              image: source.text("image"),
              imagePullPolicy: source.text("imagePullPolicy"),
              command: [NODE_EXECUTABLE, ADAPTER],
              env: [{ name: "SERVICE_NAME", value: `${nameOf(source)}.${source.text("namespace")}.svc` }],
              ports: [{ name: "https", containerPort: ADAPTER_PORT }],
              resources: { requests: { cpu: "20m", memory: "96Mi" }, limits: { memory: "256Mi" } },
              readinessProbe: { httpGet: { path: "/readyz", port: "https", scheme: "HTTPS" }, periodSeconds: 2 },
              securityContext: restrictedContainer(),
            },
          ],
        },
      },
    },
  };
}

export function adapterService(source: Source): V1Service & ApiObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadataOf(source, nameOf(source)), labels: labelsOf(source) },
    spec: { selector: adapterLabels(source), ports: [{ name: "https", port: 443, targetPort: "https" }] },
  };
}

/** The adapter makes its certificate when it starts, so the API server cannot know it. It is told numbers only, and tells none. */
export function adapterApi(source: Source): V1APIService & ApiObject {
  return {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { ...clusterMetadataOf(source, "v1beta2.custom.metrics.k8s.io"), labels: labelsOf(source) },
    spec: {
      group: "custom.metrics.k8s.io",
      version: "v1beta2",
      groupPriorityMinimum: 100,
      versionPriority: 200,
      insecureSkipTLSVerify: true,
      service: { name: nameOf(source), namespace: source.text("namespace"), port: 443 },
    },
  };
}
