import { z } from "zod";
import { Size } from "./size.ts";

export const PRESETS = ["simulation", "sgx-intel", "sgx-aks", "alibaba", "tencent"] as const;
export type PresetName = (typeof PRESETS)[number];

export const DNS_LABEL = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/);
export const HOST_NAME = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
/** Text that goes between quotes in YAML as it is. */
const PLAIN = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9 _.,:;/@%+=~?&-]*$/);
export const IMAGE = PLAIN.min(1);
export const PORT = z.int().min(1).max(65_535);
export const COUNT = z.int().min(1).max(10_000);
export const QUANTITY = z
  .string()
  .refine((text) => Size.parse(text) !== undefined, "a quantity of bytes, 512Mi or 4Gi");
export const MEASUREMENT = z.string().regex(/^[0-9a-f]{64}([0-9a-f]{32})?$/);
const RESOURCE = z.string().regex(/^$|^[a-z0-9.-]+\/[A-Za-z0-9_.-]+$/);
const OBJECT_NAME = z.string().regex(/^[a-z0-9.-]{0,253}$/);
const SECONDS = z.int().min(1).max(86_400);

export const AUTOSCALING = ["calls", "cpu", "keda", "none"] as const;
export const BROKER_KINDS = ["direct", "external-name", "endpoint", "host-alias", "in-cluster"] as const;
export const BROKER_STORES = ["file", "postgresql"] as const;
export const GATEWAYS = ["nginx", "envoy", "ingress", "none"] as const;
export const DELIVERIES = ["claim", "azure-files", "host-path", "object-store"] as const;

/**
 * Everything that objects are made of, with nothing left to compute: the values of the Helm chart. They are made from
 * settings; people set those.
 */
export const Values = z.strictObject({
  preset: z.enum(PRESETS),
  namespace: DNS_LABEL,
  createNamespace: z.boolean(),
  /** Pod Security level that the namespace enforces. */
  podSecurity: z.enum(["restricted", "privileged"]),
  /** Name of the Deployment and of what belongs to it. */
  name: DNS_LABEL,
  image: IMAGE,
  imagePullPolicy: z.enum(["Always", "IfNotPresent", "Never"]),
  /** MRENCLAVE (64 hex digits) or MRTD (96) that the broker's policy allows. */
  measurement: MEASUREMENT,
  model: z.strictObject({ name: z.string().regex(/^[A-Za-z0-9._-]{1,63}$/), version: COUNT }),
  replicas: z.strictObject({ minimum: COUNT, maximum: COUNT }),
  resources: z.strictObject({ cpu: PLAIN.min(1), memory: QUANTITY }),
  sgx: z.strictObject({
    epcResource: RESOURCE,
    /** In the unit of the resource: bytes or mebibytes. */
    epcAmount: z.string().regex(/^\d{1,19}$/),
    /** Whether the plugin also counts enclaves and provisioning; then both names are set. */
    hasDeviceResources: z.boolean(),
    enclaveResource: RESOURCE,
    provisionResource: RESOURCE,
    /** Value of the annotation `sgx.intel.com/quote-provider`; empty: no annotation. */
    quoteProvider: z.string().regex(/^[a-z0-9-]{0,63}$/),
    hasQuoteProvider: z.boolean(),
  }),
  timing: z.strictObject({
    startupPeriods: COUNT,
    /** A pod that ends goes on serving for this time, so that nobody is sent to it any more when it stops. */
    drainSeconds: SECONDS,
    graceSeconds: SECONDS,
    maxConnectionAgeSeconds: SECONDS,
  }),
  autoscaling: z.strictObject({
    kind: z.enum(AUTOSCALING),
    callsPerReplica: z.string().regex(/^\d{1,9}m?$/),
    /** Whether processor time counts. */
    hasCpu: z.boolean(),
    cpuPercent: COUNT,
    scaleDownSeconds: SECONDS,
    prometheus: PLAIN,
    /** Whether our own metrics adapter is deployed too. There can be one in a cluster. */
    adapter: z.boolean(),
  }),
  broker: z.strictObject({
    kind: z.enum(BROKER_KINDS),
    /** Name under which replicas look it up. */
    lookup: HOST_NAME,
    port: PORT,
    host: HOST_NAME,
    ip: z.union([z.ipv4(), z.ipv6(), z.literal("")]),
    ipFamily: z.enum(["IPv4", "IPv6"]),
    /** What runs the broker in the cluster, by its store: a StatefulSet with files, a Deployment with a database, or nothing. */
    workload: z.enum([...BROKER_STORES, "none"]),
    hasNetworkPolicy: z.boolean(),
    image: PLAIN,
    replicas: COUNT,
    storage: QUANTITY,
    storageClass: OBJECT_NAME,
    hasStorageClass: z.boolean(),
    /** Secret with the passphrase. */
    secret: OBJECT_NAME,
    /** ConfigMap with policy, bundle and public keys. */
    config: OBJECT_NAME,
    hasClientCa: z.boolean(),
    pccs: PLAIN,
    hasPccs: z.boolean(),
    collateralPort: PORT,
    storeUrl: PLAIN,
    storePort: PORT,
    /** Secret with the database's password and the authority of its certificate. */
    storeSecret: OBJECT_NAME,
  }),
  gateway: z.strictObject({
    kind: z.enum(GATEWAYS),
    className: z.string().regex(/^[a-z0-9.-]{0,253}$/),
    hostname: HOST_NAME,
    port: PORT,
  }),
  modelDelivery: z.strictObject({
    kind: z.enum(DELIVERIES),
    claim: z.string().regex(/^[a-z0-9.-]{0,253}$/),
    path: PLAIN,
    share: PLAIN,
    secret: z.string().regex(/^[a-z0-9.-]{0,253}$/),
    url: PLAIN,
  }),
  pccs: z.strictObject({ url: PLAIN.min(1), hasSecureCert: z.boolean() }),
  /** The measured manifest, canonical JSON. */
  enclaveManifest: z.string().max(900_000),
  /** Secret with the state of the SIMULATED platform. */
  simulatedPlatformSecret: z.string().regex(/^[a-z0-9.-]{1,253}$/),
  networkPolicy: z.boolean(),
  admissionPolicy: z.boolean(),
});

export type Values = z.infer<typeof Values>;
