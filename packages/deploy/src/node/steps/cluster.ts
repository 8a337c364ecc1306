import { type NodeSettings, POD_SUBNET } from "../settings.ts";
import { type BootstrapStep } from "../step.ts";

const TOKEN_HOURS = 2;
/** Files that are older are written anew: their token ends while somebody copies them. */
const FRESH_MINUTES = 90;
const ROLLOUT_SECONDS = 300;

/** The control plane itself, its pod network, and the file that workers join with. */
export function controlPlaneSteps(etc: string, settings: NodeSettings): BootstrapStep[] {
  const admin = `${etc}/kubernetes/admin.conf`;
  const kubectl = `kubectl --kubeconfig '${admin}'`;
  return [
    init(etc, settings, kubectl),
    flannel(settings, kubectl),
    ...(settings.schedule ? [untaint(kubectl)] : []),
    ready(kubectl),
    joinFile(settings, admin),
  ];
}

function init(etc: string, settings: NodeSettings, kubectl: string): BootstrapStep {
  const file = `${etc}/kubernetes/cloister-kubeadm.yaml`;
  const { endpoint, nodeName, imageRepository, podSubnet } = settings;
  // The version is that of the kubeadm which is installed: nothing is looked up in the network.
  const config = [
    "apiVersion: kubeadm.k8s.io/v1beta4",
    "kind: InitConfiguration",
    "nodeRegistration:",
    "  criSocket: unix:///run/containerd/containerd.sock",
    ...(nodeName === undefined ? [] : [`  name: ${nodeName}`]),
    "---",
    "apiVersion: kubeadm.k8s.io/v1beta4",
    "kind: ClusterConfiguration",
    "kubernetesVersion: $version",
    ...(endpoint === undefined ? [] : [`controlPlaneEndpoint: \\"${endpoint}\\"`]),
    ...(imageRepository === undefined ? [] : [`imageRepository: ${imageRepository}`]),
    "networking:",
    `  podSubnet: \\"${podSubnet}\\"`,
    "---",
    "apiVersion: kubelet.config.k8s.io/v1beta1",
    "kind: KubeletConfiguration",
    "cgroupDriver: systemd",
  ].join("\n");
  return {
    id: "control-plane",
    title: "Control plane (kubeadm init)",
    check: [`[ -f '${etc}/kubernetes/manifests/kube-apiserver.yaml' ]`, `${kubectl} get --raw /readyz > /dev/null`],
    run: [
      `mkdir -p '${etc}/kubernetes'`,
      "version=$(kubeadm version -o short)",
      `printf '%s\\n' "${config}" > '${file}'`,
      `kubeadm init --config '${file}'`,
    ],
    cause: "kubeadm's own checks refused the machine, or an image could not be pulled",
    remedy: "its lines above name the check; after a try that went half way: kubeadm reset, then run this again",
  };
}

/** Pods of different nodes reach each other. Flannel enforces no NetworkPolicy. */
function flannel({ flannelManifest, podSubnet }: NodeSettings, kubectl: string): BootstrapStep {
  const inNamespace = `${kubectl} -n kube-flannel`;
  return {
    id: "flannel",
    title: "Pod network (Flannel)",
    check: [
      `${inNamespace} get configmap kube-flannel-cfg -o 'jsonpath={.data.net-conf\\.json}' | grep -qF '"Network": "${podSubnet}"'`,
      `${inNamespace} rollout status daemonset/kube-flannel-ds --timeout=5s > /dev/null`,
    ],
    run: [
      "manifest=$(mktemp)",
      `curl -fsSL --proto '=https' --retry 3 -o "$manifest" '${flannelManifest}'`,
      // Its network has to be the one that kubeadm was given, or no node gets addresses.
      `sed -i 's|"Network": "${POD_SUBNET}"|"Network": "${podSubnet}"|' "$manifest"`,
      `${kubectl} apply -f "$manifest"`,
      'rm -f "$manifest"',
      `${inNamespace} rollout status daemonset/kube-flannel-ds --timeout=${ROLLOUT_SECONDS}s`,
    ],
    cause: "the manifest or the image could not be fetched, or the network in it is another",
    remedy: `${kubectl} -n kube-flannel logs daemonset/kube-flannel-ds tells; a mirror is given with --flannel-manifest`,
  };
}

function untaint(kubectl: string): BootstrapStep {
  const taint = "node-role.kubernetes.io/control-plane";
  return {
    id: "schedule",
    title: "Pods may run on the control plane too",
    check: [
      `[ -n "$(${kubectl} get nodes -o name)" ]`,
      `! ${kubectl} get nodes -o 'jsonpath={.items[*].spec.taints[*].key}' | grep -qF '${taint}'`,
    ],
    run: [`${kubectl} taint nodes --selector ${taint} ${taint}:NoSchedule-`],
    cause: "the API server did not take the change",
    remedy: `${kubectl} get nodes tells whether it answers`,
  };
}

function ready(kubectl: string): BootstrapStep {
  return {
    id: "ready",
    title: "Nodes are ready",
    check: [`${kubectl} wait --for=condition=Ready node --all --timeout=5s > /dev/null`],
    run: [`${kubectl} wait --for=condition=Ready node --all --timeout=${ROLLOUT_SECONDS}s`],
    cause: "the kubelet or the pod network does not run",
    remedy: `${kubectl} describe nodes names the condition; journalctl -u kubelet has the lines`,
  };
}

/** A token and the authority's digest, in a file that only root reads: arguments and terminals are seen by others. */
function joinFile({ joinFile: file }: NodeSettings, admin: string): BootstrapStep {
  return {
    id: "join-file",
    title: `File for workers, with a token for ${TOKEN_HOURS} hours: ${file}`,
    check: [`[ -n "$(find '${file}' -mmin -${FRESH_MINUTES} 2>/dev/null)" ]`],
    run: [
      "umask 077",
      `join=$(kubeadm token create --kubeconfig '${admin}' --ttl ${TOKEN_HOURS}h --print-join-command)`,
      // kubeadm join HOST:PORT --token TOKEN --discovery-token-ca-cert-hash DIGEST
      "set -- $join",
      '[ "$4" = --token ] && [ "$6" = --discovery-token-ca-cert-hash ]',
      `printf '%s\\n' "apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
discovery:
  bootstrapToken:
    apiServerEndpoint: \\"$3\\"
    token: \\"$5\\"
    caCertHashes:
      - \\"$7\\"" > '${file}.new'`,
      `mv '${file}.new' '${file}'`,
    ],
    cause: "the API server gave no token",
    remedy: "kubeadm token list tells whether it answers",
  };
}

/** A worker joins with the file, which is taken away afterwards. */
export function workerSteps(etc: string, { joinFile: file }: NodeSettings): BootstrapStep[] {
  return [
    {
      id: "join",
      title: `The worker joins with ${file} (kubeadm join)`,
      check: [`[ -f '${etc}/kubernetes/kubelet.conf' ]`, "systemctl is-active --quiet kubelet"],
      run: [`[ -f '${file}' ]`, `chmod 0600 '${file}'`, `kubeadm join --config '${file}'`, `rm -f '${file}'`],
      cause: "the file is missing, its token has ended, or the API server cannot be reached from here",
      remedy:
        "run the control plane's bootstrap again, which writes a new file, and copy it here (scp); the API server listens on port 6443",
    },
  ];
}
