import type { HostFacts, Purpose } from "./facts.ts";
import { type Finding, lacking, ok } from "./finding.ts";
import { NODE_SETTINGS, type NodeFacts } from "./kubernetes-facts.ts";

/** How many minor versions a kubelet may be behind its API server (Kubernetes' version skew policy). */
const MAX_SKEW = 3;
/** From this minor on the kubelet is made for containerd 2. */
const CONTAINERD_2_FROM = 36;
const BOOTSTRAP = "cloister deploy bootstrap --run does this step";

/** What the kubelet needs of its machine. Nothing where the facts were not asked for. */
export function checkKubernetesNode({ node }: HostFacts, purpose: Purpose): Finding[] {
  if (node === undefined || purpose !== "kubernetes-node") return [];
  return [checkSwap(node), checkCgroup(node), ...checkSettings(node), ...checkContainerd(node), checkKubelet(node)];
}

function checkSwap({ swaps }: NodeFacts): Finding {
  if (swaps.length === 0) return ok("swap", "no swap");
  return lacking("swap", true, {
    found: `the kernel swaps to ${swaps.join(", ")}`,
    cause: "the kubelet refuses to start beside swap",
    remedy: `swapoff -a, and take the line out of /etc/fstab; ${BOOTSTRAP}`,
  });
}

function checkCgroup({ cgroup }: NodeFacts): Finding {
  if (cgroup === 2) return ok("cgroup", "control groups of version 2");
  return lacking("cgroup", true, {
    found: "control groups of version 1",
    cause: "the kubelet refuses them since 1.35",
    remedy: "start the kernel with systemd.unified_cgroup_hierarchy=1, or take a newer system",
  });
}

function checkSettings({ settings }: NodeFacts): Finding[] {
  return Object.entries(NODE_SETTINGS).map(([check, name]) => {
    const value = settings.get(name);
    if (value === "1") return ok(check, `${name} = 1`);
    return lacking(check, true, {
      found: value === undefined ? `there is no setting ${name}` : `${name} = ${value}`,
      cause: value === undefined ? "the module br_netfilter is not loaded" : "packets of pods are not forwarded",
      remedy: BOOTSTRAP,
    });
  });
}

function checkContainerd({ containerd, kubelet }: NodeFacts): Finding[] {
  if (containerd === undefined) {
    const texts = { found: "containerd is not installed", cause: "nothing runs containers", remedy: BOOTSTRAP };
    return [lacking("containerd", true, texts)];
  }
  const { version, config } = containerd;
  const isOld = version.startsWith("1.") && kubelet !== undefined && minorOf(kubelet) >= CONTAINERD_2_FROM;
  const runtime = isOld
    ? lacking("containerd", true, {
        found: `containerd ${version} with kubelet ${kubelet}`,
        cause: "the last Kubernetes that is made for containerd 1 is 1.35",
        remedy: BOOTSTRAP,
      })
    : ok("containerd", `containerd ${version}`);
  const isOff = /^disabled_plugins\s*=.*"cri"/m.test(config);
  const isSystemd = /^\s*SystemdCgroup\s*=\s*true/m.test(config);
  if (!isOff && isSystemd) return [runtime, ok("containerd-cgroups", "containerd takes control groups of systemd")];
  const answers = lacking("containerd-cgroups", true, {
    found: isOff ? "containerd's interface for the kubelet is switched off" : "SystemdCgroup is not true",
    cause: "that is what its package or its default says; with two drivers of control groups nodes become unstable",
    remedy: BOOTSTRAP,
  });
  return [runtime, answers];
}

/** The kubelet may be older than its API server by three minors, and never newer. */
function checkKubelet({ kubelet, apiServer }: NodeFacts): Finding {
  if (kubelet === undefined) {
    const texts = { found: "the kubelet is not installed", cause: "this is no node yet", remedy: BOOTSTRAP };
    return lacking("kubelet", true, texts);
  }
  if (apiServer === undefined) return ok("kubelet", `kubelet ${kubelet}, not compared with an API server`);
  const behind = minorOf(apiServer) - minorOf(kubelet);
  if (behind >= 0 && behind <= MAX_SKEW) return ok("kubelet", `kubelet ${kubelet}, API server ${apiServer}`);
  return lacking("kubelet", true, {
    found: `kubelet ${kubelet} with API server ${apiServer}`,
    cause: behind < 0 ? "a kubelet is never newer than its API server" : `it is more than ${MAX_SKEW} minors behind`,
    remedy: behind < 0 ? "upgrade the control plane first" : "upgrade the node: kubeadm upgrade node, then the kubelet",
  });
}

const minorOf = (version: string): number => Number(version.split(".")[1]);
