import { type BootstrapStep, writeFile } from "../step.ts";

// What the kubelet asks of the system below it. `etc` stands for /etc.
const MODULES = "overlay\nbr_netfilter\n";
const SYSCTL = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables", "net.ipv4.ip_forward"];
/** A line of fstab that mounts swap. */
const SWAP_LINE = "^[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]";

export function systemSteps(etc: string): BootstrapStep[] {
  return [supported(etc), swapOff(etc), cgroups(), modules(etc), forwarding(etc)];
}

function supported(etc: string): BootstrapStep {
  return {
    id: "system",
    title: "Debian or Ubuntu with systemd, as root",
    check: [
      `[ "$(id -u)" = 0 ]`,
      `( . '${etc}/os-release' && case "$ID" in debian|ubuntu) [ -n "$VERSION_CODENAME" ] ;; *) false ;; esac )`,
      "command -v systemctl apt-get dpkg > /dev/null",
    ],
    run: [],
    cause: "the steps are for Debian and Ubuntu, and change the system",
    remedy: "run as root (sudo) on Debian 12 or Ubuntu 22.04, or newer; elsewhere follow the printed steps by hand",
  };
}

/** The kubelet refuses to start beside swap, and pages of a pod that is no enclave would go to a disk. */
function swapOff(etc: string): BootstrapStep {
  return {
    id: "swap",
    title: "No swap, now and after a restart",
    check: [
      `[ -z "$(swapon --show --noheadings)" ]`,
      `{ [ ! -f '${etc}/fstab' ] || ! grep -Eq '${SWAP_LINE}' '${etc}/fstab'; }`,
    ],
    run: ["swapoff -a", `[ ! -f '${etc}/fstab' ] || sed -E -i.before-cloister '/${SWAP_LINE}/s/^/# /' '${etc}/fstab'`],
    cause: "swap is on again: a swap unit or zram of systemd starts it",
    remedy: "systemctl list-units --type=swap tells which; mask it, then run this again",
  };
}

function cgroups(): BootstrapStep {
  return {
    id: "cgroup",
    title: "Control groups of version 2",
    check: ["[ -e /sys/fs/cgroup/cgroup.controllers ]"],
    run: [],
    cause: "the machine was started with control groups of version 1, which the kubelet refuses",
    remedy: "start the kernel with systemd.unified_cgroup_hierarchy=1, or take a newer system",
  };
}

function modules(etc: string): BootstrapStep {
  const file = writeFile(`${etc}/modules-load.d/cloister-kubernetes.conf`, MODULES);
  return {
    id: "modules",
    title: "Kernel modules overlay and br_netfilter",
    check: [...file.check, "grep -qw overlay /proc/filesystems", "[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]"],
    run: [...file.run, "modprobe overlay", "modprobe br_netfilter"],
    cause: "the kernel has no such module",
    remedy: "install the distribution's own kernel (linux-image-generic, linux-modules-extra) and restart",
  };
}

function forwarding(etc: string): BootstrapStep {
  const path = `${etc}/sysctl.d/90-cloister-kubernetes.conf`;
  const file = writeFile(path, SYSCTL.map((name) => `${name} = 1\n`).join(""));
  return {
    id: "forwarding",
    title: "Packets of pods are forwarded, and filtered on bridges",
    check: [...file.check, ...SYSCTL.map((name) => `[ "$(sysctl -n ${name})" = 1 ]`)],
    run: [...file.run, `sysctl -p '${path}'`],
    cause: "another file of sysctl.d sets the opposite later, or br_netfilter is not loaded",
    remedy: "sysctl --system names the files in their order; take the other line out",
  };
}

/** Devices come from the driver in the kernel: nothing can be installed for them. */
export function sgxDevices(): BootstrapStep {
  return {
    id: "sgx",
    title: "SGX devices",
    check: ["[ -c /dev/sgx_enclave ]", "[ -c /dev/sgx_provision ]"],
    run: [],
    cause: "the processor, the firmware or the kernel has no SGX, or the driver is a vendor's with other names",
    remedy: "cloister doctor --for sgx tells which; docs/how-to/run-on-sgx.md has the way",
  };
}
