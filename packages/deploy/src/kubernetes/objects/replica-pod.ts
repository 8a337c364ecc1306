import type { V1Container, V1PodTemplateSpec } from "@kubernetes/client-node";
import { QUOTING_SOCKET } from "@cloister/enclave";
import { DOMAIN, MEASUREMENT_ANNOTATION, PART_OF, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { CONFIG_FOLDER, HEALTH_PORT, MODELS_FOLDER, NODE_EXECUTABLE, PROGRAM_FOLDER, SERVING_PORT } from "./layout.ts";
import { fetchModel, modelVolume } from "./model-volume.ts";
import { restrictedContainer, restrictedPod } from "./security.ts";

const SIMULATED = { path: "preset", is: ["simulation"] } as const;

/**
 * A replica's pod. Nothing in it is privileged and no device is mounted by path: enclave devices come from a device plugin, by the
 * resources asked for. It counts as ready when the broker has admitted it and its model answers.
 */
export function replicaPod(source: Source): V1PodTemplateSpec {
  const hostAlias = { ip: source.text("broker.ip"), hostnames: [source.text("broker.host")] };
  return {
    metadata: {
      labels: {
        ...selectorLabels(source),
        "app.kubernetes.io/part-of": PART_OF,
        [`${DOMAIN}/tee`]: source.text("preset"),
      },
      annotations: {
        [MEASUREMENT_ANNOTATION]: source.text("measurement"),
        [`${DOMAIN}/model`]: `${source.text("model.name")}/${source.text("model.version")}`,
        "sgx.intel.com/quote-provider": source.when(
          { path: "sgx.hasQuoteProvider", is: true },
          source.text("sgx.quoteProvider"),
        ),
      },
    },
    spec: {
      serviceAccountName: source.text("name"),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: source.number("timing.graceSeconds"),
      securityContext: restrictedPod(),
      hostAliases: source.when({ path: "broker.kind", is: ["host-alias"] }, [hostAlias]),
      // Nodes with enclave memory are often kept for those who need it.
      tolerations: [{ key: "sgx.intel.com/epc", operator: "Exists", effect: "NoSchedule" }],
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: selectorLabels(source) },
        },
      ],
      initContainers: source.when({ path: "modelDelivery.kind", is: ["object-store"] }, [fetchModel(source)]),
      containers: [servingContainer(source)],
      volumes: [
        { name: "config", configMap: { name: `${source.text("name")}-replica` } },
        { name: "models-config", configMap: { name: `${source.text("name")}-models` } },
        { name: "pccs", configMap: { name: `${source.text("name")}-pccs` } },
        { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
        ...modelVolume(source),
      ],
    },
  };
}

function servingContainer(source: Source): V1Container {
  return {
    name: "serving",
    image: source.text("image"),
    imagePullPolicy: source.text("imagePullPolicy"),
    // In an SGX image the entry point starts the enclave; the simulation needs the launcher that plays the hardware.
    command: source.when(SIMULATED, simulatedCommand(source)),
    ports: [
      { name: "grpc", containerPort: SERVING_PORT },
      { name: "health", containerPort: HEALTH_PORT },
    ],
    resources: resourcesOf(source),
    securityContext: restrictedContainer(),
    startupProbe: { ...probe("/livez"), failureThreshold: source.number("timing.startupPeriods") },
    livenessProbe: { ...probe("/livez"), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...probe("/readyz"), failureThreshold: 2 },
    // The end of a replica is first of all that nobody is sent to it any more.
    lifecycle: { preStop: { sleep: { seconds: source.number("timing.drainSeconds") } } },
    // Why a replica was refused stands in its last lines.
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "config", mountPath: CONFIG_FOLDER, readOnly: true },
      { name: "models-config", mountPath: "/etc/tensorflow-serving", readOnly: true },
      { name: "pccs", mountPath: "/etc/sgx_default_qcnl.conf", subPath: "sgx_default_qcnl.conf", readOnly: true },
      { name: "tmp", mountPath: "/tmp" },
      { name: "models", mountPath: MODELS_FOLDER, readOnly: true },
    ],
  };
}

/** `cloister enclave run`: this process plays the hardware and starts the replica, the node's service gives the quotes. */
function simulatedCommand(source: Source): string[] {
  const options = {
    manifest: `${CONFIG_FOLDER}/enclave-manifest.json`,
    platform: "simulated",
    "simulated-platform": `${QUOTING_SOCKET.folder}/${QUOTING_SOCKET.file}`,
    broker: `${source.text("broker.lookup")}:${source.text("broker.port")}`,
    sealed: `${MODELS_FOLDER}/${source.text("model.name")}/${source.text("model.version")}`,
    listen: `0.0.0.0:${SERVING_PORT}`,
    health: `0.0.0.0:${HEALTH_PORT}`,
    "max-connection-age-seconds": source.text("timing.maxConnectionAgeSeconds"),
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return [NODE_EXECUTABLE, `${PROGRAM_FOLDER}/packages/cli/src/main.ts`, "enclave", "run", ...flags];
}

/** No limit on processor time: a throttled server misses deadlines although the node idles. */
function resourcesOf(source: Source): NonNullable<V1Container["resources"]> {
  const hasDevices = { path: "sgx.hasDeviceResources", is: true } as const;
  const extended = {
    [source.text("sgx.epcResource")]: source.text("sgx.epcAmount"),
    [source.text("sgx.enclaveResource")]: source.when(hasDevices, "1"),
    [source.text("sgx.provisionResource")]: source.when(hasDevices, "1"),
  };
  const memory = source.text("resources.memory");
  return { requests: { cpu: source.text("resources.cpu"), memory, ...extended }, limits: { memory, ...extended } };
}

function probe(path: string) {
  return { httpGet: { path, port: "health" }, periodSeconds: 2, timeoutSeconds: 2 };
}
