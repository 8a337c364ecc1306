import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where the build script puts the cluster's programs. */
const PROGRAMS =
  process.env["CLOISTER_KUBERNETES_PROGRAMS"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "cloister/kubernetes");

export type Program =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | "kube-proxy"
  | "kubectl"
  | "kubeadm"
  | "coredns"
  | "helm3"
  | "helm4"
  | "pause";

/** The path of a program of the rig. Throws where it was not built: a test that needs it fails, it is not skipped. */
export function programPath(name: Program): string {
  const path = join(PROGRAMS, name);
  if (!existsSync(path))
    throw new Error(`${name} is not built: run e2e/kubernetes/build (6 to 10 minutes the first time)`);
  return path;
}

/** Addresses of a cluster. They are of its own network namespaces, so clusters do not meet. */
export const NETWORK = {
  controlPlane: "10.89.0.1",
  services: "10.96.0.0/16",
  firstService: "10.96.0.1",
  /** The zone of Services. */
  domain: "cluster.local",
  /** A machine outside of the cluster that its DNS knows: the control plane's, where owner and gateway are too. */
  outside: "attestation.service.com",
  nodeAddress: (index: number): string => `10.89.0.${11 + index}`,
  podPrefix: (index: number): string => `10.89.${16 + index}`,
  pods: "10.89.16.0/20",
} as const;
