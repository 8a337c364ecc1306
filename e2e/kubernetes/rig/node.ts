import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { NETWORK, programPath } from "./layout.ts";
import { namespacePath } from "./network.ts";
import { Service, waitFor } from "./process.ts";

const CGROUPS = "/sys/fs/cgroup";
const CONTAINERD = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "cloister.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;

/** One node of the cluster: a process tree in namespaces of its own that dies as a whole. */
export class ClusterNode {
  readonly name: string;
  readonly index: number;
  readonly #folder: string;
  readonly #cgroup: string;
  readonly #namespace: string;
  #process: Service | undefined;

  constructor(index: number, root: string, namespace: string, id: string) {
    this.name = `node-${index + 1}`;
    this.index = index;
    this.#folder = join(root, this.name);
    this.#cgroup = `cloister-${id}-n${index}`;
    this.#namespace = namespace;
    mkdirSync(this.#folder, { recursive: true });
    const keys = join(root, "keys");
    copyFileSync(join(keys, `${this.name}.conf`), join(this.#folder, "node.conf"));
    const write = (file: string, content: object): void =>
      writeFileSync(join(this.#folder, file), JSON.stringify(content, null, 2));
    writeFileSync(join(this.#folder, "containerd.toml"), CONTAINERD);
    writeFileSync(join(this.#folder, "address"), NETWORK.nodeAddress(index));
    write("cni.conflist", cniConfig(index));
    write("kubelet.json", kubeletConfig(keys, `/${this.#cgroup}`));
    write("proxy.json", proxyConfig(join(keys, "proxy.conf")));
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  start(): void {
    makeCgroups(this.#cgroup);
    const script = join(import.meta.dirname, "node.sh");
    const programs = dirname(programPath("kubelet"));
    const isolation = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"];
    this.#process = new Service(this.name, join(this.#folder, "node.log"), "nsenter", [
      `--net=${namespacePath(this.#namespace)}`,
      "unshare",
      ...isolation,
      "bash",
      script,
      this.name,
      this.#folder,
      programs,
    ]);
  }

  /** As if the machine lost its power: pods, kubelet and network are gone at once. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  async remove(): Promise<void> {
    await this.kill();
    await waitFor("the end of a node's processes", () =>
      Promise.resolve(removeCgroups(this.#cgroup) ? true : undefined),
    );
  }
}

function cniConfig(index: number): object {
  const ranges = [[{ subnet: `${NETWORK.podPrefix(index)}.0/24` }]];
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    isGateway: true,
    ipMasq: false,
    hairpinMode: true,
    ipam: { type: "host-local", ranges, routes: [{ dst: "0.0.0.0/0" }] },
  };
  return {
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [bridge, { type: "portmap", capabilities: { portMappings: true } }],
  };
}

function kubeletConfig(keys: string, cgroupRoot: string): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(keys, "ca.crt") },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    clusterDNS: [NETWORK.controlPlane],
    clusterDomain: NETWORK.domain,
    // A changed ConfigMap reaches its pods within seconds.
    syncFrequency: "5s",
    cgroupDriver: "cgroupfs",
    cgroupRoot,
    failCgroupV1: false,
    failSwapOn: false,
    maxPods: 40,
    nodeStatusUpdateFrequency: "2s",
    nodeStatusReportFrequency: "4s",
    nodeLeaseDurationSeconds: 8,
    registryPullQPS: 0,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    // The disk belongs to others as well: nothing is evicted for its sake.
    evictionHard: {
      "memory.available": "50Mi",
      "nodefs.available": "1%",
      "imagefs.available": "1%",
      "nodefs.inodesFree": "1%",
    },
  };
}

function proxyConfig(kubeconfig: string): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig },
    mode: "nftables",
    clusterCIDR: NETWORK.pods,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}

/** Controllers of cgroup v1, each a hierarchy of its own, and the second version beside them. */
function hierarchies(): string[] {
  return readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(CGROUPS, name));
}

function makeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name);
    mkdirSync(group, { recursive: true });
    // A new cpuset has no processors until it is told which.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (existsSync(join(group, file))) writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
  }
}

/** Removes a group with all below it; false while processes of it still end. */
export function removeCgroups(name: string): boolean {
  let isGone = true;
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name);
    if (existsSync(group) && !removeGroup(group)) isGone = false;
  }
  return isGone;
}

function removeGroup(group: string): boolean {
  const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const areGone = below.map(({ name }) => removeGroup(join(group, name)));
  try {
    rmdirSync(group);
    return areGone.every(Boolean);
  } catch {
    return false;
  }
}
