import { z } from "zod";
import { DeployError } from "../errors.ts";

export const NODE_ROLES = ["control-plane", "worker"] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

/** The minor version that the test rig runs. */
const KUBERNETES_MINOR = "1.36";
const FLANNEL_VERSION = "v0.28.9";
/** What Flannel's own manifest has. Another one is written into it. */
export const POD_SUBNET = "10.244.0.0/16";
const JOIN_FILE = "/etc/kubernetes/cloister-join.yaml";

// Every text goes into a shell script between quotes: nothing that ends them is let in.
const HOST_PORT = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,252}(:\d{1,5})?$/);
const PATH = z.string().regex(/^\/[A-Za-z0-9/._-]{1,255}$/);
const IMAGES = z.string().regex(/^[a-z0-9][a-z0-9.:/_-]{0,252}$/);
const HTTPS = z.string().regex(/^https:\/\/[A-Za-z0-9][A-Za-z0-9.:/_~%-]{0,500}$/);

/** What people decide about a node. */
export const NodeSettings = z.strictObject({
  role: z.enum(NODE_ROLES).default("control-plane"),
  /** Minor version: each has a package repository of its own. */
  kubernetes: z
    .string()
    .regex(/^1\.\d{2}$/)
    .default(KUBERNETES_MINOR),
  podSubnet: z.cidrv4().default(POD_SUBNET),
  /** Under which nodes and clients reach the API server; default: this node's address. Later control planes need a stable one. */
  endpoint: HOST_PORT.optional(),
  nodeName: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/)
    .optional(),
  /** Lets pods run on the control plane too: for clusters of one machine. */
  schedule: z.boolean().default(false),
  /** The node has to have SGX devices. */
  sgx: z.boolean().default(false),
  /** Where images of the control plane come from, for sites with a mirror. */
  imageRepository: IMAGES.optional(),
  /** Package repositories, for sites with mirrors. */
  kubernetesRepository: HTTPS.optional(),
  containerdRepository: HTTPS.default("https://download.docker.com/linux"),
  flannelManifest: HTTPS.default(
    `https://github.com/flannel-io/flannel/releases/download/${FLANNEL_VERSION}/kube-flannel.yml`,
  ),
  /** Written on the control plane, read on workers. It holds a token: it is readable by root only, and ends after two hours. */
  joinFile: PATH.default(JOIN_FILE),
});

export type NodeSettings = z.infer<typeof NodeSettings>;
export type NodeInput = z.input<typeof NodeSettings>;

/** Reads settings. Throws `BOOTSTRAP_SETTINGS_INVALID` naming the fields. */
export function readNodeSettings(input: unknown): NodeSettings {
  const parsed = NodeSettings.safeParse(input);
  const problems = parsed.success ? contradictions(parsed.data) : parsed.error.issues.map(describe);
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new DeployError("BOOTSTRAP_SETTINGS_INVALID", {
    what: "the settings of the node were refused",
    why: problems.join("; ").slice(0, 1000),
    remedy: "see cloister deploy bootstrap --help",
  });
}

function contradictions({ role, endpoint, nodeName, schedule }: NodeSettings): string[] {
  if (role === "control-plane") return [];
  const given = { endpoint, nodeName, schedule: schedule || undefined };
  return Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} is the control plane's; a worker takes it from the join file`],
  );
}

const describe = ({ path, message }: z.core.$ZodIssue): string => `${path.join(".")}: ${message}`;
