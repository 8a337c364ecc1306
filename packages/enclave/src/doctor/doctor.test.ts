import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose } from "./diagnose.ts";
import { ERROR_NUMBERS } from "./error-numbers.ts";
import { explainError } from "./explain.ts";
import { type HostFacts, type Purpose, PURPOSES } from "./facts.ts";
import { gatherFacts } from "./gather.ts";

const NOW = new Date("2026-12-01T00:00:00Z");
const device = (path: string) => ({ path, exists: true, usable: true });
const TDX_DEVICE = device("/dev/tdx_guest");
const item = (days: number) => ({
  name: "tcbInfo" as const,
  issuedAt: NOW,
  nextUpdate: new Date(NOW.getTime() + days * 86_400_000),
  number: 17n,
});
const platform = { tee: "sgx", fmspc: "00606a000000", pckCa: "platform" } as const;
const set = { path: "set.json", platform, update: "standard", items: [item(20)], code: null } as const;

const NODE = {
  swaps: [],
  cgroup: 2,
  settings: new Map([
    ["net.ipv4.ip_forward", "1"],
    ["net.bridge.bridge-nf-call-iptables", "1"],
  ]),
  containerd: { version: "2.2.1", config: "disabled_plugins = []\n  SystemdCgroup = true\n" },
  kubelet: "1.36.3",
  apiServer: "1.36.3",
} as const;

/** A machine on which every check passes. */
const HEALTHY: HostFacts = {
  now: NOW,
  nodeVersion: "v24.1.0",
  cipher: { name: "openssl" },
  platform: "linux",
  architecture: "x64",
  kernelRelease: "6.8.0-31-generic",
  kernelConfig: new Map([
    ["CONFIG_X86_SGX", "y"],
    ["CONFIG_INTEL_TDX_GUEST", "y"],
  ]),
  cpuFlags: new Set(["sgx", "sgx_lc", "tdx_guest"]),
  devices: [device("/dev/sgx_enclave"), device("/dev/sgx_provision"), TDX_DEVICE],
  aesmSocket: "listening",
  tsmReports: true,
  nginx: { version: "1.24.0", stream: "dynamic" },
  services: [{ url: "https://localhost:8081/", code: null, ms: 3, date: NOW }],
  collateral: [set],
  tcb: { status: "UpToDate", advisoryIds: [], tcbDate: NOW, simulated: false, code: null },
  node: NODE,
};

/** Checks that are not ok, with their severity. */
function complaints(changes: Partial<HostFacts>, purpose: Purpose): Record<string, string> {
  const findings = diagnose({ ...HEALTHY, ...changes }, purpose).filter(({ severity }) => severity !== "ok");
  for (const { cause, remedy } of findings) assert.ok(cause !== undefined && remedy !== undefined);
  return Object.fromEntries(findings.map(({ check, severity }) => [check, severity]));
}

test("a machine with everything has no complaint for any purpose", () => {
  for (const purpose of PURPOSES) assert.deepEqual(complaints({}, purpose), {});
});

test("a laptop without a TEE is fine for the simulated platform, and told what it lacks for the others", () => {
  const laptop = { cpuFlags: new Set<string>(), devices: [], aesmSocket: "absent", tsmReports: false } as const;
  const sgx = ["cpu-sgx", "sgx-enclave-device", "sgx-provision-device", "aesm"];
  const tdx = ["cpu-tdx", "tdx-device", "tdx-quotes"];
  const expected = (errors: readonly string[], notes: readonly string[]) => ({
    ...Object.fromEntries(errors.map((check) => [check, "error"])),
    ...Object.fromEntries(notes.map((check) => [check, "note"])),
  });
  assert.deepEqual(complaints(laptop, "simulated"), expected([], [...sgx, ...tdx]));
  assert.deepEqual(complaints(laptop, "verifier"), expected([], [...sgx, ...tdx]));
  assert.deepEqual(complaints(laptop, "sgx"), expected(sgx, tdx));
  assert.deepEqual(complaints(laptop, "tdx"), expected(tdx, sgx));
});

const faults: readonly [string, Partial<HostFacts>, Purpose, Record<string, string>][] = [
  ["an old Node.js", { nodeVersion: "v20.20.2" }, "simulated", { node: "error" }],
  ["a Node.js just old enough", { nodeVersion: "v22.18.0" }, "simulated", {}],
  ["no koffi", { cipher: { name: "node:crypto", reason: "no koffi" } }, "simulated", { cipher: "note" }],
  ["a cipher that is not there", { cipher: { name: null, reason: "asked" } }, "verifier", { cipher: "error" }],
  ["nginx without stream", { nginx: { version: "1.24.0", stream: "none" } }, "simulated", { nginx: "note" }],
  ["an old kernel", { kernelRelease: "5.4.119-19" }, "sgx", { kernel: "error" }],
  ["a kernel too old for TDX", { kernelRelease: "6.5.0" }, "tdx", { kernel: "error" }],
  ["a kernel without the driver", { kernelConfig: new Map() }, "sgx", { "kernel-config": "error" }],
  ["another system", { platform: "darwin" }, "sgx", { kernel: "error" }],
  ["another processor", { architecture: "arm64" }, "sgx", { cpu: "error" }],
  ["AESM that ended", { aesmSocket: "refused" }, "sgx", { aesm: "error" }],
  [
    "a device without rights",
    { devices: [device("/dev/sgx_enclave"), { path: "/dev/sgx_provision", exists: true, usable: false }, TDX_DEVICE] },
    "sgx",
    { "sgx-provision-device": "error" },
  ],
  ["a clock before this software", { now: new Date("2020-01-01") }, "simulated", { clock: "error" }],
  ["a clock an hour off", { now: new Date(NOW.getTime() + 3_600_000) }, "verifier", { clock: "error" }],
  ["the same where it matters less", { now: new Date(NOW.getTime() - 3_600_000) }, "simulated", { clock: "warning" }],
  [
    "a service that is down",
    { services: [{ url: "https://a/", code: "COLLATERAL_SERVICE_UNREACHABLE", ms: 3 }] },
    "verifier",
    { "collateral-service": "error" },
  ],
  ["collateral that ends soon", { collateral: [{ ...set, items: [item(6)] }] }, "verifier", { collateral: "warning" }],
  ["expired collateral", { collateral: [{ ...set, code: "TCB_INFO_EXPIRED" }] }, "verifier", { collateral: "error" }],
  [
    "a TCB that is out of date",
    { tcb: { status: "OutOfDate", advisoryIds: ["INTEL-SA-00615"], simulated: false, code: null } },
    "sgx",
    { tcb: "warning" },
  ],
  ["swap", { node: { ...NODE, swaps: ["/swapfile"] } }, "kubernetes-node", { swap: "error" }],
  ["swap on no node", { node: { ...NODE, swaps: ["/swapfile"] } }, "sgx", {}],
  ["old control groups", { node: { ...NODE, cgroup: 1 } }, "kubernetes-node", { cgroup: "error" }],
  [
    "no br_netfilter, and no forwarding",
    { node: { ...NODE, settings: new Map([["net.ipv4.ip_forward", "0"]]) } },
    "kubernetes-node",
    { "ip-forward": "error", "bridge-netfilter": "error" },
  ],
  [
    "containerd as its package leaves it",
    { node: { ...NODE, containerd: { version: "2.2.1", config: 'disabled_plugins = ["cri"]\n' } } },
    "kubernetes-node",
    { "containerd-cgroups": "error" },
  ],
  [
    "containerd 1 below a kubelet for 2",
    { node: { ...NODE, containerd: { ...NODE.containerd, version: "1.7.24" } } },
    "kubernetes-node",
    { containerd: "error" },
  ],
  ["a kubelet three minors behind", { node: { ...NODE, kubelet: "1.33.9" } }, "kubernetes-node", {}],
  ["a kubelet four minors behind", { node: { ...NODE, kubelet: "1.32.9" } }, "kubernetes-node", { kubelet: "error" }],
  ["a kubelet ahead", { node: { ...NODE, kubelet: "1.37.0" } }, "kubernetes-node", { kubelet: "error" }],
  [
    "a machine that is no node yet",
    { node: { swaps: [], cgroup: 2, settings: NODE.settings } },
    "kubernetes-node",
    { containerd: "error", kubelet: "error" },
  ],
  [
    "evidence that is refused",
    { tcb: { status: null, advisoryIds: [], simulated: false, code: "PCK_CERTIFICATE_REVOKED" } },
    "sgx",
    { tcb: "error" },
  ],
];

for (const [title, changes, purpose, expected] of faults) {
  test(`${title}, for ${purpose}: ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(complaints(changes, purpose), expected);
  });
}

test("this machine's facts can be gathered, and give findings", async () => {
  const facts = await gatherFacts({ now: NOW, services: [], anchors: [] });
  assert.equal(facts.nodeVersion, process.version);
  assert.ok(diagnose(facts, "simulated").length > 8);
  const asNode = diagnose(await gatherFacts({ now: NOW, services: [], anchors: [], asNode: true }), "kubernetes-node");
  for (const check of ["swap", "cgroup", "ip-forward", "containerd", "kubelet"]) {
    assert.ok(
      asNode.some((finding) => finding.check === check),
      check,
    );
  }
});

test("a service that does not answer is a fact, not a failure", async () => {
  const service = { kind: "pccs", url: "https://127.0.0.1:9/" } as const;
  const { services } = await gatherFacts({ now: NOW, services: [service], anchors: [] });
  assert.equal(services[0]?.code, "COLLATERAL_SERVICE_UNREACHABLE");
});

test("numbers that users reported are explained in every form in which they are printed", () => {
  for (const [asked, name] of [
    ["-12288", "MBEDTLS_ERR_X509_FATAL_ERROR"],
    ["-0x3000", "MBEDTLS_ERR_X509_FATAL_ERROR"],
    ["-30592", "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE"],
    ["57372", "SGX_QL_QUOTE_CERTIFICATION_DATA_UNSUPPORTED"],
    ["0xE01C", "SGX_QL_QUOTE_CERTIFICATION_DATA_UNSUPPORTED"],
    ["0xe022", "SGX_QL_PCK_CERT_CHAIN_ERROR"],
    ["0xe046", "SGX_QL_ERROR_MESSAGE_PARSING_ERROR"],
    ["sgx_ql_tcb_out_of_date", "SGX_QL_TCB_OUT_OF_DATE"],
    ["42", "AESM_ATT_KEY_NOT_INITIALIZED"],
    ["461", "PCCS_PLATFORM_UNKNOWN"],
    ["SO_REUSEPORT", "SO_REUSEPORT"],
    ["PCK_CRL_EXPIRED", "PCK_CRL_EXPIRED"],
    ["maa_token_expired", "MAA_TOKEN_EXPIRED"],
  ] as const) {
    assert.equal(explainError(asked)[0]?.name, name, asked);
  }
  assert.deepEqual(explainError("12"), explainError(" 0x0c "));
  for (const unknown of ["", "0x", "99999", "constructor", "-"]) assert.deepEqual(explainError(unknown), []);
});

test("no number or name has two rows of one source, and every row says what to do", () => {
  const keys = ERROR_NUMBERS.flatMap(({ source, name, number }) => [name, `${source}/${number ?? name}`]);
  assert.equal(new Set(keys).size, keys.length);
  for (const { cause, remedy } of ERROR_NUMBERS) assert.ok(cause.length > 10 && remedy.length > 5);
});
