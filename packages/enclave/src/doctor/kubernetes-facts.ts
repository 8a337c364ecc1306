import { execFile } from "node:child_process";
import { access, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** What a node of a Kubernetes cluster is looked at for. What cannot be found out is left out. */
export interface NodeFacts {
  /** Devices and files that the kernel swaps to. */
  readonly swaps: readonly string[];
  readonly cgroup: 1 | 2;
  /** Kernel settings by name: "net.ipv4.ip_forward" to "1". */
  readonly settings: ReadonlyMap<string, string>;
  readonly containerd?: { readonly version: string; readonly config: string };
  /** "1.36.3", of the kubelet and of the API server that it belongs to. */
  readonly kubelet?: string;
  readonly apiServer?: string;
}

/** By the name of their check. */
export const NODE_SETTINGS = {
  "ip-forward": "net.ipv4.ip_forward",
  "bridge-netfilter": "net.bridge.bridge-nf-call-iptables",
} as const;
const CONTAINERD_CONFIG = "/etc/containerd/config.toml";
const KUBELET_ACCOUNT = "/etc/kubernetes/kubelet.conf";
const COMMAND_MS = 5000;
const execute = promisify(execFile);

export async function gatherNodeFacts(): Promise<NodeFacts> {
  const [swaps, cgroup, settings, containerdVersion, config, kubelet, apiServer] = await Promise.all([
    readFile("/proc/swaps", "utf8").catch(() => ""),
    access("/sys/fs/cgroup/cgroup.controllers").then(
      () => 2 as const,
      () => 1 as const,
    ),
    Promise.all(Object.values(NODE_SETTINGS).map(readSetting)),
    versionOf("containerd", ["--version"]),
    readFile(CONTAINERD_CONFIG, "utf8").catch(() => ""),
    versionOf("kubelet", ["--version"]),
    // Every node may ask for the version, with the kubelet's own account.
    versionOf("kubectl", ["--kubeconfig", KUBELET_ACCOUNT, "get", "--raw", "/version"]),
  ]);
  return {
    swaps: swaps
      .split("\n")
      .slice(1)
      .flatMap((line) => line.split(/\s/)[0] || []),
    cgroup,
    settings: new Map(settings.flatMap((setting) => (setting === undefined ? [] : [setting]))),
    ...(containerdVersion !== undefined && { containerd: { version: containerdVersion, config } }),
    ...(kubelet !== undefined && { kubelet }),
    ...(apiServer !== undefined && { apiServer }),
  };
}

async function readSetting(name: string): Promise<readonly [string, string] | undefined> {
  const text = await readFile(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : [name, text.trim()];
}

/** The first version in what a program says; undefined where there is no such program or it fails. */
async function versionOf(program: string, args: readonly string[]): Promise<string | undefined> {
  const output = await execute(program, args, { timeout: COMMAND_MS }).catch(() => undefined);
  return /\bv?(\d+\.\d+\.\d+)/.exec(output?.stdout ?? "")?.[1];
}
