import { z } from "zod";
import { DeployError } from "../errors.ts";
import { Duration } from "./duration.ts";
import { epcAmount, presetOf } from "./presets.ts";
import { Size } from "./size.ts";
import {
  AUTOSCALING,
  BROKER_KINDS,
  BROKER_STORES,
  COUNT,
  DELIVERIES,
  DNS_LABEL,
  GATEWAYS,
  HOST_NAME,
  IMAGE,
  MEASUREMENT,
  PORT,
  PRESETS,
  type PresetName,
  QUANTITY,
  Values,
} from "./values.ts";

const SPAN = z.string().refine((text) => Duration.parse(text) !== undefined, "a span of time, 30s or 5m");

/** Of a database elsewhere, with a user and without a password: that would stand in a process list. */
const STORE_URL = /^postgresql:\/\/[a-z_][a-z0-9_]{0,62}@[a-z0-9][a-z0-9.-]*(:\d{1,5})?\/[a-z_][a-z0-9_]{0,62}$/;

/** The section `kubernetes` of `cloister.yaml`: what people decide. Everything else follows from it (`valuesOf`). */
export const KubernetesSettings = z.strictObject({
  preset: z.enum(PRESETS).default("simulation"),
  namespace: DNS_LABEL.default("cloister"),
  createNamespace: z.boolean().default(true),
  name: DNS_LABEL.default("serving"),
  /** Of the replica, by digest: the admission policy refuses a tag. */
  image: IMAGE,
  imagePullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent"),
  measurement: MEASUREMENT,
  model: z.strictObject({
    name: z.string().regex(/^[A-Za-z0-9._-]{1,63}$/),
    version: COUNT.default(1),
    /** Of all its files. Enclave memory is sized from it. */
    size: QUANTITY.default("128Mi"),
  }),
  replicas: z.strictObject({ minimum: COUNT.default(1), maximum: COUNT.default(4) }).prefault({}),
  cpu: z
    .string()
    .regex(/^\d{1,4}(\.\d{1,3})?$|^\d{1,6}m$/)
    .default("1"),
  /** Of the container; by default what the model's size asks for. */
  memory: QUANTITY.optional(),
  /** Enclave memory of a replica; by default what the model's size asks for. */
  epc: QUANTITY.optional(),
  /** Enclave memory of the whole cluster: caps the replicas. */
  clusterEpc: QUANTITY.optional(),
  startup: SPAN.default("5m"),
  drain: SPAN.default("5s"),
  grace: SPAN.default("30s"),
  maxConnectionAge: SPAN.default("5m"),
  autoscaling: z
    .strictObject({
      kind: z.enum(AUTOSCALING).default("calls"),
      callsPerReplica: COUNT.default(8),
      /** Beside calls. Needs the cluster's metrics server: where one metric is missing, nothing is scaled down. */
      cpu: z.boolean().default(true),
      cpuPercent: COUNT.default(80),
      scaleDown: SPAN.default("5m"),
      /** For KEDA. */
      prometheus: z.url().optional(),
      adapter: z.boolean().default(true),
    })
    .prefault({}),
  broker: z.strictObject({
    kind: z.enum(BROKER_KINDS).default("direct"),
    /** Its name, in its certificate as in a DNS. */
    host: HOST_NAME.default("attestation.service.com"),
    port: PORT.default(4433),
    /** For `endpoint` and `host-alias`. */
    ip: z.union([z.ipv4(), z.ipv6()]).optional(),
    /** For `in-cluster`. */
    image: IMAGE.optional(),
    store: z.enum(BROKER_STORES).default("file"),
    /** Of the claim (`file`). */
    storage: QUANTITY.default("1Gi"),
    storageClass: z.string().max(253).optional(),
    /** How many share the database (`postgresql`). */
    replicas: COUNT.default(2),
    storeUrl: z
      .string()
      .max(512)
      .regex(STORE_URL, "a database without a password, postgresql://user@host:5432/database")
      .optional(),
    storeSecret: z.string().max(253).default("cloister-broker-store"),
    secret: z.string().max(253).default("cloister-broker"),
    config: z.string().max(253).default("cloister-broker"),
    /** The ConfigMap has the authority of requesters' certificates. */
    clientCa: z.boolean().default(false),
    /** Where collateral comes from; default: Intel's service. */
    pccs: z.url({ protocol: /^https$/ }).optional(),
  }),
  gateway: z
    .strictObject({
      kind: z.enum(GATEWAYS).default("nginx"),
      className: z.string().max(253).optional(),
      hostname: HOST_NAME.default("grpc.tf-serving.service.com"),
      port: PORT.default(443),
    })
    .prefault({}),
  modelDelivery: z
    .strictObject({
      kind: z.enum(DELIVERIES).default("claim"),
      /** Name of the PersistentVolumeClaim. */
      claim: z.string().max(253).default("sealed-models"),
      /** Folder on the node (`host-path`). */
      path: z.string().max(512).default(""),
      /** Name of the file share (`azure-files`). */
      share: z.string().max(253).default(""),
      /** Secret that opens the share (`azure-files`). */
      secret: z.string().max(253).default(""),
      /** Address of a tar of the sealed folder (`object-store`). */
      url: z.string().max(512).default(""),
    })
    .prefault({}),
  pccs: z.strictObject({ url: z.url().optional(), secureCertificate: z.boolean().default(true) }).prefault({}),
  simulatedPlatformSecret: z.string().max(253).default("simulated-platform"),
  networkPolicy: z.boolean().default(true),
  admissionPolicy: z.boolean().default(true),
});

export type KubernetesSettings = z.infer<typeof KubernetesSettings>;
/** Settings as they are written, before defaults. */
export type KubernetesInput = z.input<typeof KubernetesSettings>;

/** What Node.js, its libraries and the server take beside a model. */
const RUNTIME = Size.mebibytes(512);
/** The model is in memory sealed, opened and lowered while it is loaded. */
const COPIES_OF_MODEL = 4;
const MEMORY_OUTSIDE = Size.mebibytes(128);
const PROBE_PERIOD_SECONDS = 2;
const GATEWAY_CLASSES = { nginx: "nginx", envoy: "eg", ingress: "nginx", none: "" } as const;
const NAME_OF_BROKER_SERVICE = "cloister-broker";
const HTTPS_PORT = 443;
const POSTGRESQL_PORT = 5432;

/** Reads settings. Throws `KUBERNETES_SETTINGS_INVALID` naming the fields. */
export function readSettings(input: unknown): KubernetesSettings {
  const parsed = KubernetesSettings.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join(".") || "top level"}: ${message}`));
}

/**
 * The values that follow from settings, for the settings' own preset or for another. `enclaveManifest` is the canonical JSON of the
 * measured manifest. Throws `KUBERNETES_SETTINGS_INVALID` where settings contradict each other.
 */
export function valuesOf(
  settings: KubernetesSettings,
  enclaveManifest: string,
  presetName: PresetName = settings.preset,
): Values {
  const preset = presetOf(presetName);
  const { model, autoscaling, gateway, modelDelivery } = settings;
  const epc = sizeOf(settings.epc) ?? enclaveSize(sizeOf(model.size) ?? RUNTIME);
  const memory = sizeOf(settings.memory) ?? epc.plus(MEMORY_OUTSIDE);
  check(settings, epc);
  const values: Values = {
    preset: presetName,
    namespace: settings.namespace,
    createNamespace: settings.createNamespace,
    podSecurity: modelDelivery.kind === "host-path" ? "privileged" : "restricted",
    name: settings.name,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    measurement: settings.measurement,
    model: { name: model.name, version: model.version },
    replicas: { minimum: settings.replicas.minimum, maximum: maximumReplicas(settings, epc) },
    resources: { cpu: settings.cpu, memory: String(memory) },
    sgx: {
      epcResource: preset.sgx.epcResource,
      epcAmount: epcAmount(preset, epc),
      hasDeviceResources: preset.sgx.enclaveResource !== "",
      enclaveResource: preset.sgx.enclaveResource,
      provisionResource: preset.sgx.provisionResource,
      quoteProvider: preset.sgx.quoteProvider,
      hasQuoteProvider: preset.sgx.quoteProvider !== "",
    },
    timing: {
      startupPeriods: Math.max(1, Math.ceil(secondsOf(settings.startup) / PROBE_PERIOD_SECONDS)),
      drainSeconds: secondsOf(settings.drain),
      graceSeconds: secondsOf(settings.grace) + secondsOf(settings.drain),
      maxConnectionAgeSeconds: secondsOf(settings.maxConnectionAge),
    },
    autoscaling: {
      kind: autoscaling.kind,
      callsPerReplica: String(autoscaling.callsPerReplica),
      hasCpu: autoscaling.kind === "cpu" || autoscaling.cpu,
      cpuPercent: autoscaling.cpuPercent,
      scaleDownSeconds: secondsOf(autoscaling.scaleDown),
      prometheus: autoscaling.prometheus ?? "",
      adapter: autoscaling.kind === "calls" && autoscaling.adapter,
    },
    broker: brokerValues(settings),
    gateway: { ...gateway, className: gateway.className ?? GATEWAY_CLASSES[gateway.kind] },
    modelDelivery,
    pccs: { url: settings.pccs.url ?? preset.pccsUrl, hasSecureCert: settings.pccs.secureCertificate },
    enclaveManifest,
    simulatedPlatformSecret: settings.simulatedPlatformSecret,
    networkPolicy: settings.networkPolicy,
    admissionPolicy: settings.admissionPolicy,
  };
  const parsed = Values.safeParse(values);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`));
}

function brokerValues({ broker, networkPolicy }: KubernetesSettings): Values["broker"] {
  const isService = broker.kind === "external-name" || broker.kind === "endpoint" || broker.kind === "in-cluster";
  return {
    kind: broker.kind,
    lookup: isService ? NAME_OF_BROKER_SERVICE : broker.host,
    port: broker.port,
    host: broker.host,
    ip: broker.ip ?? "",
    ipFamily: broker.ip?.includes(":") === true ? "IPv6" : "IPv4",
    workload: broker.kind === "in-cluster" ? broker.store : "none",
    hasNetworkPolicy: broker.kind === "in-cluster" && networkPolicy,
    image: broker.image ?? "",
    replicas: broker.replicas,
    storage: broker.storage,
    storageClass: broker.storageClass ?? "",
    hasStorageClass: broker.storageClass !== undefined,
    secret: broker.secret,
    config: broker.config,
    hasClientCa: broker.clientCa,
    pccs: broker.pccs ?? "",
    hasPccs: broker.pccs !== undefined,
    collateralPort: portOf(broker.pccs, HTTPS_PORT),
    storeUrl: broker.storeUrl ?? "",
    storePort: portOf(broker.storeUrl, POSTGRESQL_PORT),
    storeSecret: broker.storeSecret,
  };
}

/** The port of an address, or the one that its kind has. */
function portOf(address: string | undefined, standard: number): number {
  const port = address === undefined ? "" : new URL(address).port;
  return port === "" ? standard : Number(port);
}

/** Enclave memory that a replica of a model needs: SGX enclaves have a power of two as their size. */
function enclaveSize(model: Size): Size {
  return RUNTIME.plus(model.times(COPIES_OF_MODEL)).toPowerOfTwo();
}

/** No more replicas than the cluster's enclave memory holds: beyond that enclaves page, which costs more than a replica gives. */
function maximumReplicas({ replicas, clusterEpc }: KubernetesSettings, epc: Size): number {
  const cluster = sizeOf(clusterEpc);
  return cluster === undefined ? replicas.maximum : Math.min(replicas.maximum, cluster.over(epc));
}

function check(settings: KubernetesSettings, epc: Size): void {
  const { replicas, broker, modelDelivery, autoscaling } = settings;
  const problems: string[] = [];
  const cap = maximumReplicas(settings, epc);
  if (replicas.minimum > replicas.maximum) problems.push("replicas.minimum is above replicas.maximum");
  else if (replicas.minimum > cap) {
    problems.push(`clusterEpc holds ${cap} replicas of ${String(epc)}, fewer than replicas.minimum`);
  }
  if ((broker.kind === "endpoint" || broker.kind === "host-alias") && broker.ip === undefined) {
    problems.push(`broker.ip is needed for the kind ${broker.kind}`);
  }
  if (broker.kind === "in-cluster") problems.push(...brokerProblems(broker));
  if (autoscaling.kind === "keda" && autoscaling.prometheus === undefined) {
    problems.push("autoscaling.prometheus is needed for the kind keda");
  }
  const needed = {
    claim: ["claim"],
    "host-path": ["path"],
    "azure-files": ["share", "secret"],
    "object-store": ["url"],
  } as const;
  for (const field of needed[modelDelivery.kind]) {
    if (modelDelivery[field] === "") {
      problems.push(`modelDelivery.${field} is needed for the kind ${modelDelivery.kind}`);
    }
  }
  if (problems.length > 0) throw invalid(problems);
}

function brokerProblems({ image, store, storeUrl }: KubernetesSettings["broker"]): string[] {
  const problems = image === undefined ? ["broker.image is needed for the kind in-cluster"] : [];
  if (store === "postgresql" && storeUrl === undefined) {
    problems.push("broker.storeUrl is needed for the store postgresql");
  }
  return problems;
}

const sizeOf = (text: string | undefined): Size | undefined => (text === undefined ? undefined : Size.parse(text));
const secondsOf = (text: string): number => Duration.parse(text)?.seconds ?? 0;

function invalid(problems: readonly string[]): DeployError {
  return new DeployError("KUBERNETES_SETTINGS_INVALID", {
    what: "the Kubernetes settings were refused",
    why: problems.join("; ").slice(0, 1000),
    remedy: "see the section kubernetes in docs/reference/kubernetes.md",
  });
}
