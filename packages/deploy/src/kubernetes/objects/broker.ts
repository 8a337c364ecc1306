import type {
  V1Container,
  V1Deployment,
  V1PersistentVolumeClaim,
  V1PodDisruptionBudget,
  V1PodTemplateSpec,
  V1Service,
  V1ServiceAccount,
  V1StatefulSet,
} from "@kubernetes/client-node";
import { type ApiObject, commonLabels, metadataOf, PART_OF, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { CONFIG_FOLDER, NODE_EXECUTABLE, PROGRAM_FOLDER } from "./layout.ts";
import { restrictedContainer, restrictedPod } from "./security.ts";

// The broker as a part of the deployment, for those who trust the cluster's administrators with the keys. What it needs is named and
// never rendered: a Secret with the passphrase of its key store, a ConfigMap with policy, bundle and public keys.

const STATE_FOLDER = "/var/lib/cloister";
const PASSPHRASE_FOLDER = "/run/cloister/passphrase";
const STORE_FOLDER = "/run/cloister/store";
const BUNDLE_FOLDER = "/run/cloister/bundles";
const HEALTH_PORT = 9433;
const DNS_PORT = 53;

const SIMULATED = { path: "preset", is: ["simulation"] } as const;
const WITH_FILES = { path: "broker.workload", is: ["file"] } as const;
const WITH_DATABASE = { path: "broker.workload", is: ["postgresql"] } as const;
const WITH_PCCS = { path: "broker.hasPccs", is: true } as const;
const WITH_CLIENT_CA = { path: "broker.hasClientCa", is: true } as const;

const brokerLabels = (source: Pick<Source, "text">): Record<string, string> => ({
  "app.kubernetes.io/name": "cloister-broker",
  "app.kubernetes.io/instance": source.text("name"),
});

/** Name of the workload and of what belongs to it. The Service has the name that replicas look up. */
const nameOf = (source: Source): string => `${source.text("name")}-broker`;
const ownMetadata = (source: Source, name = nameOf(source)) => ({
  ...metadataOf(source, name),
  labels: { ...commonLabels(source), ...brokerLabels(source) },
});

/** It never speaks to the API server: no token is mounted. */
export function brokerAccount(source: Source): V1ServiceAccount & ApiObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: ownMetadata(source),
    automountServiceAccountToken: false,
  };
}

/** Authority, encrypted keys and release log. Nothing but `deploy delete` takes it away. */
export function brokerClaim(source: Source): V1PersistentVolumeClaim & ApiObject {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: ownMetadata(source),
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: source.when({ path: "broker.hasStorageClass", is: true }, source.text("broker.storageClass")),
      resources: { requests: { storage: source.text("broker.storage") } },
    },
  };
}

/** One broker with its files: a StatefulSet never starts a second one beside a first that may still write the log. */
export function brokerStatefulSet(source: Source): V1StatefulSet & ApiObject {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: ownMetadata(source),
    spec: {
      replicas: 1,
      serviceName: source.text("broker.lookup"),
      selector: { matchLabels: brokerLabels(source) },
      template: brokerPod(source),
    },
  };
}

/** Brokers that share one database: any of them may go. */
export function brokerDeployment(source: Source): V1Deployment & ApiObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: ownMetadata(source),
    spec: {
      replicas: source.number("broker.replicas"),
      revisionHistoryLimit: 3,
      selector: { matchLabels: brokerLabels(source) },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: brokerPod(source),
    },
  };
}

export function brokerBudget(source: Source): V1PodDisruptionBudget & ApiObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: ownMetadata(source),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: brokerLabels(source) },
    },
  };
}

export function brokerInside(source: Source): V1Service & ApiObject {
  const port = source.number("broker.port");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownMetadata(source, source.text("broker.lookup")),
    spec: {
      type: "ClusterIP",
      selector: brokerLabels(source),
      ports: [{ name: "broker", port, targetPort: "broker", appProtocol: "tls" }],
    },
  };
}

/** Replicas ask for keys, this namespace reads counters; the broker asks for collateral and, where it has one, its database. */
export function brokerNetworkPolicy(source: Source): ApiObject & { spec: object } {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: ownMetadata(source),
    spec: {
      podSelector: { matchLabels: brokerLabels(source) },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: selectorLabels(source) } }],
          ports: [{ protocol: "TCP", port: source.number("broker.port") }],
        },
        { from: [{ podSelector: {} }], ports: [{ protocol: "TCP", port: HEALTH_PORT }] },
      ],
      egress: [
        {
          ports: [
            { protocol: "UDP", port: DNS_PORT },
            { protocol: "TCP", port: DNS_PORT },
          ],
        },
        { ports: [{ protocol: "TCP", port: source.number("broker.collateralPort") }] },
        source.when(WITH_DATABASE, { ports: [{ protocol: "TCP", port: source.number("broker.storePort") }] }),
      ],
    },
  };
}

function brokerPod(source: Source): V1PodTemplateSpec {
  return {
    metadata: { labels: { ...brokerLabels(source), "app.kubernetes.io/part-of": PART_OF } },
    spec: {
      serviceAccountName: nameOf(source),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 30,
      // A change of every file's group would also open the key store to that group.
      securityContext: restrictedPod({ fsGroupChangePolicy: "OnRootMismatch" }),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: brokerLabels(source) },
        },
      ],
      containers: [brokerContainer(source)],
      volumes: [
        { name: "config", configMap: { name: source.text("broker.config") } },
        {
          name: "bundles",
          configMap: {
            name: source.text("broker.config"),
            items: [
              {
                key: "bundle.json",
                path: `${source.text("model.name")}/${source.text("model.version")}.json`,
              },
            ],
          },
        },
        {
          name: "passphrase",
          secret: {
            secretName: source.text("broker.secret"),
            defaultMode: 0o400,
            items: [{ key: "passphrase", path: "passphrase" }],
          },
        },
        source.when(WITH_DATABASE, {
          name: "store",
          secret: { secretName: source.text("broker.storeSecret"), defaultMode: 0o400 },
        }),
        source.when(WITH_FILES, { name: "state", persistentVolumeClaim: { claimName: nameOf(source) } }),
        source.when(WITH_DATABASE, { name: "state", emptyDir: { sizeLimit: "256Mi" } }),
        { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      ],
    },
  };
}

function brokerContainer(source: Source): V1Container {
  const probe = (path: string) => ({ httpGet: { path, port: "health" }, periodSeconds: 5, timeoutSeconds: 5 });
  return {
    name: "broker",
    image: source.text("broker.image"),
    imagePullPolicy: source.text("imagePullPolicy"),
    command: brokerCommand(source),
    ports: [
      { name: "broker", containerPort: source.number("broker.port") },
      { name: "health", containerPort: HEALTH_PORT },
    ],
    // Opening the key store takes scrypt's memory for a moment.
    resources: { requests: { cpu: "250m", memory: "384Mi" }, limits: { memory: "1Gi" } },
    securityContext: restrictedContainer(),
    startupProbe: { ...probe("/livez"), failureThreshold: 60 },
    livenessProbe: { ...probe("/livez"), periodSeconds: 10, failureThreshold: 6 },
    readinessProbe: { ...probe("/readyz"), failureThreshold: 2 },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "config", mountPath: CONFIG_FOLDER, readOnly: true },
      { name: "bundles", mountPath: BUNDLE_FOLDER, readOnly: true },
      { name: "passphrase", mountPath: PASSPHRASE_FOLDER, readOnly: true },
      source.when(WITH_DATABASE, { name: "store", mountPath: STORE_FOLDER, readOnly: true }),
      { name: "state", mountPath: STATE_FOLDER },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

/** `cloister broker`. Each flag and its value is one word, so that a conditional one is one entry. */
function brokerCommand(source: Source): string[] {
  return [
    NODE_EXECUTABLE,
    `${PROGRAM_FOLDER}/packages/cli/src/main.ts`,
    "broker",
    `--port=${source.text("broker.port")}`,
    `--name=${source.text("broker.host")}`,
    "--health-host=0.0.0.0",
    `--health-port=${HEALTH_PORT}`,
    `--state-dir=${STATE_FOLDER}`,
    `--passphrase-file=${PASSPHRASE_FOLDER}/passphrase`,
    `--policy=${CONFIG_FOLDER}/policy.yaml`,
    `--bundles=${BUNDLE_FOLDER}`,
    `--owner-key=${CONFIG_FOLDER}/owner.pub.pem`,
    source.when(WITH_CLIENT_CA, `--client-ca=${CONFIG_FOLDER}/client-ca.pem`),
    source.when(WITH_PCCS, `--pccs=${source.text("broker.pccs")}`),
    source.when(SIMULATED, `--simulated-anchor=${CONFIG_FOLDER}/anchor.pem`),
    source.when(SIMULATED, `--collateral=${CONFIG_FOLDER}/collateral.json`),
    source.when(WITH_DATABASE, `--store=${source.text("broker.storeUrl")}`),
    source.when(WITH_DATABASE, `--store-password-file=${STORE_FOLDER}/password`),
    source.when(WITH_DATABASE, `--store-ca=${STORE_FOLDER}/ca.pem`),
  ];
}
