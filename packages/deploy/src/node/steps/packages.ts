import type { NodeSettings } from "../settings.ts";
import { areInstalled, type BootstrapStep, install, UPDATE_LISTS } from "../step.ts";

/** The key that signs Kubernetes' packages (isv:kubernetes OBS Project) and the one that signs Docker's. */
const KUBERNETES_KEY = "DE15B14486CD377B9E876E1A234654DA9A296436";
const DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";
const TOOLS = ["ca-certificates", "curl", "gpg"];
const KUBERNETES = ["kubelet", "kubeadm", "kubectl"];

interface Repository {
  readonly id: string;
  readonly title: string;
  readonly keyUrl: string;
  readonly fingerprint: string;
  readonly keyring: string;
  readonly list: string;
  /** After the options of the source; shell variables of os-release may stand in it. */
  readonly source: string;
}

export function packageSteps(etc: string, settings: NodeSettings): BootstrapStep[] {
  const packages = settings.kubernetesRepository ?? `https://pkgs.k8s.io/core:/stable:/v${settings.kubernetes}/deb/`;
  const kubernetes = packages.endsWith("/") ? packages : `${packages}/`;
  const docker = settings.containerdRepository.replace(/\/$/, "");
  return [
    tools(),
    repository(etc, {
      id: "containerd-repository",
      title: "Package repository of containerd 2 (Docker's), with its key",
      keyUrl: `${docker}/$ID/gpg`,
      fingerprint: DOCKER_KEY,
      keyring: `${etc}/apt/keyrings/cloister-docker.asc`,
      list: `${etc}/apt/sources.list.d/cloister-docker.list`,
      source: `${docker}/$ID $VERSION_CODENAME stable`,
    }),
    repository(etc, {
      id: "kubernetes-repository",
      title: `Package repository of Kubernetes ${settings.kubernetes}, with its key`,
      keyUrl: `${kubernetes}Release.key`,
      fingerprint: KUBERNETES_KEY,
      keyring: `${etc}/apt/keyrings/cloister-kubernetes.asc`,
      list: `${etc}/apt/sources.list.d/cloister-kubernetes.list`,
      source: `${kubernetes} /`,
    }),
    containerd(),
    containerdConfig(etc),
    kubernetesPackages(settings.kubernetes),
  ];
}

function tools(): BootstrapStep {
  return {
    id: "tools",
    title: "Tools that fetch and check keys",
    check: areInstalled(...TOOLS),
    run: [UPDATE_LISTS, install(...TOOLS)],
    cause: "the distribution's package mirror did not answer",
    remedy: "check the network and /etc/apt/sources.list.d; behind a proxy set Acquire::http::Proxy in apt.conf.d",
  };
}

/** A repository whose packages count only when they are signed by the key that is named here. */
function repository(etc: string, { id, title, keyUrl, fingerprint, keyring, list, source }: Repository): BootstrapStep {
  const release = `. '${etc}/os-release'`;
  const line = `"deb [arch=$(dpkg --print-architecture) signed-by=${keyring}] ${source}"`;
  const isRightKey = (file: string): string =>
    `[ "$(gpg --batch --with-colons --show-keys '${file}' 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')" = ${fingerprint} ]`;
  return {
    id,
    title,
    check: [isRightKey(keyring), `( ${release} && [ "$(cat '${list}' 2>/dev/null)" = ${line} ] )`],
    run: [
      release,
      `mkdir -p '${etc}/apt/keyrings' '${etc}/apt/sources.list.d'`,
      `curl -fsSL --proto '=https' --retry 3 -o '${keyring}.new' "${keyUrl}"`,
      // A key that is not the one named here never comes to its place.
      isRightKey(`${keyring}.new`),
      `chmod 0644 '${keyring}.new'`,
      `mv '${keyring}.new' '${keyring}'`,
      `printf '%s\\n' ${line} > '${list}'`,
      UPDATE_LISTS,
    ],
    cause: `the repository did not answer, or its key is not ${fingerprint}`,
    remedy:
      "check the network and a mirror's address; a new key is announced by its owner: compare before you trust it",
  };
}

/** From Kubernetes 1.36 on the kubelet is made for containerd 2; distributions of these years still have 1.6 or 1.7. */
function containerd(): BootstrapStep {
  return {
    id: "containerd",
    title: "containerd 2",
    check: [
      `dpkg-query -W -f '\${Status} \${Version}' containerd.io 2>/dev/null | grep -Eq ' installed ([0-9]+:)?2\\.'`,
    ],
    run: [install("containerd.io")],
    cause: "the package conflicts with the distribution's containerd or docker.io, or there is none for this release",
    remedy: "apt-get remove containerd docker.io, then run this again",
  };
}

const isSwitchedOff = (file: string): string => `grep -Eq '^disabled_plugins = .*"cri"' '${file}'`;

/** The package comes with its interface for the kubelet switched off, and every version's default counts without systemd. */
function containerdConfig(etc: string): BootstrapStep {
  const file = `${etc}/containerd/config.toml`;
  const isUsable = `grep -q 'runtimes\\.runc\\.options\\]' '${file}' 2>/dev/null && ! ${isSwitchedOff(file)}`;
  return {
    id: "containerd-config",
    title: "containerd answers the kubelet, with control groups of systemd",
    check: [
      `grep -Eq '^[[:space:]]*SystemdCgroup = true' '${file}'`,
      `! ${isSwitchedOff(file)}`,
      "systemctl is-enabled --quiet containerd",
      "systemctl is-active --quiet containerd",
    ],
    run: [
      `mkdir -p '${etc}/containerd'`,
      `[ ! -f '${file}' ] || [ -f '${file}.before-cloister' ] || cp -p '${file}' '${file}.before-cloister'`,
      // Somebody's own configuration keeps the rest of what it says.
      `if ${isUsable}; then cp '${file}' '${file}.new'; else containerd config default > '${file}.new'; fi`,
      // Some versions leave the line out of their default.
      `sed -i -e '/^[[:space:]]*SystemdCgroup = /d' -e '/runtimes\\.runc\\.options\\]/a SystemdCgroup = true' '${file}.new'`,
      `mv '${file}.new' '${file}'`,
      "systemctl enable containerd",
      "systemctl restart containerd",
    ],
    cause: "containerd did not start",
    remedy: `journalctl -u containerd tells why; the configuration before is ${file}.before-cloister`,
  };
}

/** Held, so that an upgrade of the system does not change a cluster's version. */
function kubernetesPackages(minor: string): BootstrapStep {
  return {
    id: "kubernetes",
    title: `kubelet, kubeadm and kubectl ${minor}, held`,
    check: KUBERNETES.map(
      (name) =>
        `dpkg-query -W -f '\${Status} \${Version}' ${name} 2>/dev/null | grep -Eq '^hold ok installed ${minor.replace(".", "\\.")}\\.'`,
    ),
    run: [
      // Another minor that is installed is a node of a cluster: kubeadm upgrades those, in its order.
      ...KUBERNETES.map(
        (name) =>
          `case "$(dpkg-query -W -f '\${Version}' ${name} 2>/dev/null)" in ''|${minor}.*) ;; *) echo '${name} of another minor is installed' >&2; exit 1 ;; esac`,
      ),
      install("--allow-change-held-packages", ...KUBERNETES.map((name) => `'${name}=${minor}.*'`)),
      `apt-mark hold ${KUBERNETES.join(" ")}`,
      "systemctl enable kubelet",
    ],
    cause: `the repository has no ${minor}, or another minor is installed`,
    remedy: "check --kubernetes; an existing cluster is upgraded with kubeadm upgrade, one minor at a time",
  };
}
