import type { HostFacts, Purpose } from "./facts.ts";
import { lacking, ok, warning, type Finding } from "./finding.ts";

/** First kernels with the SGX driver, the TDX guest device, and the common interface for quotes. */
const SGX_KERNEL = [5, 11] as const;
const TDX_KERNEL = [6, 7] as const;

export const SGX_ENCLAVE_DEVICES: readonly string[] = ["/dev/sgx_enclave", "/dev/sgx/enclave"];
export const SGX_PROVISION_DEVICES: readonly string[] = ["/dev/sgx_provision", "/dev/sgx/provision"];
export const TDX_DEVICES: readonly string[] = ["/dev/tdx_guest", "/dev/tdx-guest", "/dev/tdx-attest"];
export const AESM_SOCKET = "/var/run/aesmd/aesm.socket";
export const TSM_FOLDER = "/sys/kernel/config/tsm/report";

export function checkCpu({ cpuFlags, architecture }: HostFacts, purpose: Purpose): Finding[] {
  if (architecture !== "x64") {
    return [
      lacking("cpu", purpose === "sgx" || purpose === "tdx", {
        found: `processor architecture ${architecture}`,
        cause: "SGX and TDX exist on x86-64 only",
        remedy: "use an x86-64 machine with SGX or TDX, or the simulated platform",
      }),
    ];
  }
  const sgx = cpuFlags.has("sgx")
    ? ok("cpu-sgx", cpuFlags.has("sgx_lc") ? "SGX with flexible launch control" : "SGX")
    : lacking("cpu-sgx", purpose === "sgx", {
        found: "the processor shows no SGX",
        cause: "it has none, the firmware has it off, or this is a VM without it",
        remedy: "turn SGX on in the firmware, or take a VM type with SGX (for example DCsv3, g7t, M6ce)",
      });
  const tdx = cpuFlags.has("tdx_guest")
    ? ok("cpu-tdx", "this is a TDX guest")
    : lacking("cpu-tdx", purpose === "tdx", {
        found: "this is no TDX guest",
        cause: "the machine was not started as a trust domain",
        remedy: "start the VM as a TDX guest",
      });
  return [sgx, tdx];
}

export function checkKernel({ kernelRelease, kernelConfig, platform }: HostFacts, purpose: Purpose): Finding[] {
  const [first, option] = purpose === "tdx" ? [TDX_KERNEL, "CONFIG_INTEL_TDX_GUEST"] : [SGX_KERNEL, "CONFIG_X86_SGX"];
  const needed = purpose === "sgx" || purpose === "tdx";
  if (platform !== "linux") {
    return [
      lacking("kernel", needed, {
        found: `operating system ${platform}`,
        cause: "TEE drivers and Gramine need Linux",
        remedy: "use Linux, or the simulated platform",
      }),
    ];
  }
  const [, major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(kernelRelease) ?? []).map(Number);
  const isNew = major > first[0] || (major === first[0] && minor >= first[1]);
  const release = isNew
    ? ok("kernel", `Linux ${kernelRelease}`)
    : lacking("kernel", needed, {
        found: `Linux ${kernelRelease}`,
        cause: `the driver is part of the kernel from ${first.join(".")} on`,
        remedy: "use a newer kernel; older cloud kernels (4.19, 5.4) need the vendor's out-of-tree driver",
      });
  if (kernelConfig === undefined) return [release];
  const value = kernelConfig.get(option);
  const config =
    value === "y" || value === "m"
      ? ok("kernel-config", `${option}=${value}`)
      : lacking("kernel-config", needed, {
          found: `${option} is not set`,
          cause: "the kernel was built without the driver",
          remedy: "use a kernel of the distribution, or build it with the option",
        });
  return [release, config];
}

export function checkSgxDevices(facts: HostFacts, purpose: Purpose): Finding[] {
  const needed = purpose === "sgx";
  const isDriverThere = facts.cpuFlags.has("sgx");
  return [
    checkDevice(facts, "sgx-enclave-device", SGX_ENCLAVE_DEVICES, needed, {
      cause: isDriverThere
        ? "the driver made no device: the firmware has SGX off or reserves no EPC, or the container was not given it"
        : "the processor shows no SGX, so there is no driver",
      remedy:
        "in a container pass --device /dev/sgx_enclave; on Kubernetes use the SGX device plugin, not privileged pods",
    }),
    checkDevice(facts, "sgx-provision-device", SGX_PROVISION_DEVICES, needed, {
      cause: "quoting enclaves need the provisioning key, which this device gives out",
      remedy: "in a container pass --device /dev/sgx_provision; on the host add the user to the group sgx_prv",
    }),
  ];
}

export function checkAesm({ aesmSocket }: HostFacts, purpose: Purpose): Finding {
  const needed = purpose === "sgx";
  if (aesmSocket === "listening") return ok("aesm", `AESM listens on ${AESM_SOCKET}`);
  if (aesmSocket === "refused") {
    return lacking("aesm", needed, {
      found: `${AESM_SOCKET} is there, and nobody answers`,
      cause: "the service has ended, or this user may not open the socket",
      remedy: "systemctl restart aesmd; look at journalctl -u aesmd",
    });
  }
  return lacking("aesm", needed, {
    found: `no socket ${AESM_SOCKET}`,
    cause: "the quoting service is not installed or not started, or the container was not given its socket",
    remedy:
      "apt-get install sgx-aesm-service libsgx-aesm-quote-ex-plugin libsgx-aesm-ecdsa-plugin, then systemctl start aesmd",
  });
}

export function checkTdx(facts: HostFacts, purpose: Purpose): Finding[] {
  const needed = purpose === "tdx";
  const device = checkDevice(facts, "tdx-device", TDX_DEVICES, needed, {
    cause: "this is no TDX guest, or its kernel lacks the guest driver",
    remedy: "start the VM as a TDX guest with Linux 6.2 or later, and load tdx_guest",
  });
  const tsm = facts.tsmReports
    ? ok("tdx-quotes", `quotes through ${TSM_FOLDER}`)
    : lacking("tdx-quotes", needed, {
        found: `no ${TSM_FOLDER}`,
        cause: "the kernel is older than 6.7, or configfs is not mounted",
        remedy: "mount -t configfs none /sys/kernel/config; modprobe tsm",
      });
  return [device, tsm];
}

function checkDevice(
  { devices }: HostFacts,
  check: string,
  paths: readonly string[],
  needed: boolean,
  texts: { readonly cause: string; readonly remedy: string },
): Finding {
  const found = devices.find(({ path, exists }) => exists && paths.includes(path));
  if (found === undefined) return lacking(check, needed, { found: `no ${paths.join(" or ")}`, ...texts });
  if (found.usable) return ok(check, found.path);
  const denied = {
    found: `${found.path} cannot be opened`,
    cause: "this user has no rights on it, or /dev is mounted without them",
    remedy: "add the user to the device's group (sgx, sgx_prv or tdx), then log in again",
  };
  return needed ? lacking(check, true, denied) : warning(check, denied);
}
