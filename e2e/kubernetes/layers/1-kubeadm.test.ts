// What `deploy bootstrap` hands to kubeadm, read by Kubernetes' own kubeadm: the control plane as a dry run, the join file against
// the real API server. Nothing is installed: the rest of the steps has stand-ins in packages/deploy/src/node.
import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { bootstrapPlan, localShell, readNodeSettings, runScript, runSteps } from "@cloister/deploy/node";
import { parseAllDocuments } from "yaml";
import { connectRig, type ConnectedRig } from "../rig/connected.ts";
import { NETWORK, programPath } from "../rig/layout.ts";
import { run, waitFor } from "../rig/process.ts";

let rig: ConnectedRig;
let folder: string;
let environment: Record<string, string>;
before(async () => {
  rig = await connectRig();
  folder = join(rig.folder, "kubeadm");
  const bin = join(folder, "bin");
  await mkdir(join(folder, "etc/kubernetes"), { recursive: true });
  await mkdir(bin);
  await copyFile(rig.kubeconfig, join(folder, "etc/kubernetes/admin.conf"));
  // An init in earnest would take this machine: the real program tells what it would do. Its checks of the machine are warnings.
  const kubeadm = `#!/bin/sh
[ "$1" != init ] || [ "$2" = phase ] || exec '${programPath("kubeadm")}' "$@" --dry-run --ignore-preflight-errors=all
exec '${programPath("kubeadm")}' "$@"
`;
  await writeFile(join(bin, "kubeadm"), kubeadm);
  await writeFile(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
  await chmod(join(bin, "kubeadm"), 0o755);
  environment = { PATH: `${bin}:${join(programPath("kubectl"), "..")}:${process.env["PATH"] ?? ""}`, HOME: rig.folder };
});

const planOf = (more: object) =>
  bootstrapPlan(readNodeSettings({ joinFile: join(folder, "join.yaml"), ...more }), join(folder, "etc"));
const stepOf = (id: string, more: object = {}) => {
  const step = planOf(more).find((it) => it.id === id);
  assert.ok(step !== undefined, `there is no step ${id}`);
  return step;
};

/** A shell whose network, DNS and host name are its own: there is an interface with a default route, and nobody behind it. */
const isolated = (script: string): Promise<string> => {
  const prepare = [
    `mount --bind '${folder}/resolv.conf' /etc/resolv.conf`,
    "hostname control-plane",
    "ip link add eth0 type bridge",
    "ip addr add 192.0.2.1/24 dev eth0",
    "ip link set lo up && ip link set eth0 up",
    "ip route add default via 192.0.2.2",
  ];
  const words = ["--mount", "--net", "--uts", "sh", "-c", `set -eu\n${prepare.join("\n")}\n${script}`];
  return run("unshare", words, { ...environment, KUBEADM_INIT_DRYRUN_DIR: join(folder, "made") });
};

test("kubeadm init takes the configuration, and makes the control plane that was asked for", async () => {
  const settings = { endpoint: "api.example:6443", podSubnet: "10.9.0.0/16", nodeName: "first" };
  await mkdir(join(folder, "made"));
  const said = await isolated(runScript(stepOf("control-plane", settings)));
  assert.match(said, /Your Kubernetes control-plane has initialized successfully/);
  assert.match(said, /kubeadm join api\.example:6443 --token/);
  await run(
    "kubeadm",
    ["config", "validate", "--config", join(folder, "etc/kubernetes/cloister-kubeadm.yaml")],
    environment,
  );
  const made = (name: string): Promise<string> => readFile(join(folder, "made", name), "utf8");
  assert.match(await made("kube-controller-manager.yaml"), /--cluster-cidr=10\.9\.0\.0\/16/);
  assert.match(await made("config.yaml"), /^cgroupDriver: systemd$/m);
  const version = (await run("kubeadm", ["version", "-o", "short"], environment)).trim();
  assert.ok((await made("kube-apiserver.yaml")).includes(`kube-apiserver:${version}`));
});

test("the join file is one that kubeadm join takes: it finds the cluster by it, and trusts it by the digest in it", async () => {
  const config = join(folder, "uploaded.yaml");
  const written = await readFile(join(folder, "etc/kubernetes/cloister-kubeadm.yaml"), "utf8");
  // There is no default route here, by which kubeadm finds the address of a control plane.
  const local = `kind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: ${NETWORK.controlPlane}`;
  await writeFile(config, written.replace("kind: InitConfiguration", local));
  const admin = ["--config", config, "--kubeconfig", rig.kubeconfig];
  // What an init would have left in this cluster, which no kubeadm made.
  await run("kubeadm", ["init", "phase", "upload-config", "all", ...admin], environment);
  await run("kubeadm", ["init", "phase", "bootstrap-token", ...admin], environment);
  const shell = localShell();
  const prelude = `PATH='${environment["PATH"] ?? ""}' HOME='${rig.folder}'; export PATH HOME\n`;
  const steps = [stepOf("ready"), stepOf("join-file")];
  const results = await runSteps(steps, {
    execute: (script) => shell(prelude + script),
    onStart: () => undefined,
    onEnd: () => undefined,
  });
  assert.deepEqual(results, [
    { id: "ready", state: "unchanged" },
    { id: "join-file", state: "done" },
  ]);
  const file = join(folder, "join.yaml");
  await run("kubeadm", ["config", "validate", "--config", file], environment);
  const [joined] = parseAllDocuments(await readFile(file, "utf8"));
  assert.equal(joined?.getIn(["discovery", "bootstrapToken", "apiServerEndpoint"]), `${NETWORK.controlPlane}:6443`);
  const preflight = ["join", "phase", "preflight", "--config", file, "--ignore-preflight-errors=all"];
  // The token's signature is in the cluster's public facts a moment after it was made.
  await waitFor("the discovery of the cluster", () => run("kubeadm", preflight, environment));
  // Another authority under the same address is not trusted.
  const other = join(folder, "other.yaml");
  await writeFile(other, (await readFile(file, "utf8")).replace(/sha256:[0-9a-f]{64}/, `sha256:${"0".repeat(64)}`));
  await assert.rejects(
    run("kubeadm", [...preflight.slice(0, -2), other, ...preflight.slice(-1), "--v=0"], environment),
    /cluster CA found in cluster-info ConfigMap is invalid|none of the public keys/,
  );
});
