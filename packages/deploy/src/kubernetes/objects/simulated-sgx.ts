import type {
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1DaemonSet,
  V1Namespace,
  V1ServiceAccount,
} from "@kubernetes/client-node";
import { type ApiObject, clusterMetadataOf, commonLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { NODE_EXECUTABLE, PROGRAM_FOLDER } from "./layout.ts";

// A SIMULATED platform for development clusters. Device plugins speak to the kubelet over a folder of the node, which Pod Security
// allows in a namespace of their own only.
const PLUGINS_FOLDER = "/var/lib/kubelet/device-plugins";
const PLUGIN = `${PROGRAM_FOLDER}/packages/deploy/src/kubernetes/simulated-sgx/main.ts`;

const LABELS = { "app.kubernetes.io/name": "cloister-simulated-sgx" };
/** Name of the plugin, of its namespace, and of what belongs to it. */
export const simulatedName = (source: Pick<Source, "text">): string => `${source.text("namespace")}-simulated-sgx`;

function ownMetadata(source: Source) {
  return { ...clusterMetadataOf(source, simulatedName(source)), labels: { ...commonLabels(source), ...LABELS } };
}

export function simulatedNamespace(source: Source): V1Namespace & ApiObject {
  const { labels, ...metadata } = ownMetadata(source);
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      ...metadata,
      labels: { ...labels, "pod-security.kubernetes.io/enforce": "privileged" },
    },
  };
}

export function simulatedAccount(source: Source): V1ServiceAccount & ApiObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { ...ownMetadata(source), namespace: simulatedName(source) },
  };
}

/** Enclave memory is counted in bytes, which no device plugin can: it is written into the node's status. */
export function simulatedRole(source: Source): V1ClusterRole & ApiObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: ownMetadata(source),
    rules: [{ apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] }],
  };
}

export function simulatedBinding(source: Source): V1ClusterRoleBinding & ApiObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: ownMetadata(source),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: simulatedName(source) },
    subjects: [{ kind: "ServiceAccount", name: simulatedName(source), namespace: simulatedName(source) }],
  };
}

export function simulatedPlugin(source: Source): V1DaemonSet & ApiObject {
  const quotingFolder = `/var/run/${simulatedName(source)}`;
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { ...ownMetadata(source), namespace: simulatedName(source) },
    spec: {
      selector: { matchLabels: { ...LABELS, "app.kubernetes.io/instance": source.text("name") } },
      template: {
        metadata: { labels: { ...LABELS, "app.kubernetes.io/instance": source.text("name") } },
        spec: {
          serviceAccountName: simulatedName(source),
          priorityClassName: "system-node-critical",
          tolerations: [{ operator: "Exists" }],
          terminationGracePeriodSeconds: 5,
          securityContext: { runAsUser: 0, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              name: "device-plugin",
              image: source.text("image"),
              imagePullPolicy: source.text("imagePullPolicy"),
              command: [NODE_EXECUTABLE, PLUGIN],
              env: [
                { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
                { name: "QUOTING_FOLDER", value: quotingFolder },
              ],
              resources: { requests: { cpu: "20m", memory: "96Mi" }, limits: { memory: "256Mi" } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
              volumeMounts: [
                { name: "plugins", mountPath: PLUGINS_FOLDER },
                { name: "quoting", mountPath: quotingFolder },
                { name: "platform", mountPath: "/etc/cloister/platform", readOnly: true },
              ],
            },
          ],
          volumes: [
            { name: "plugins", hostPath: { path: PLUGINS_FOLDER, type: "Directory" } },
            { name: "quoting", hostPath: { path: quotingFolder, type: "DirectoryOrCreate" } },
            {
              name: "platform",
              secret: { secretName: source.text("simulatedPlatformSecret"), defaultMode: 0o400 },
            },
          ],
        },
      },
    },
  };
}
