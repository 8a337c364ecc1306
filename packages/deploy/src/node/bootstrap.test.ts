import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DeployError } from "../errors.ts";
import { bootstrapPlan } from "./plan.ts";
import { runSteps } from "./run.ts";
import { bootstrapScript } from "./script.ts";
import { type NodeInput, readNodeSettings } from "./settings.ts";
import { localShell } from "./shell.ts";
import { type BootstrapStep, checkScript, runScript } from "./step.ts";
import { STAND_INS } from "./testing.ts";

// The shell is real, and so is every file, below a folder that stands for the machine. What would change this machine (packages,
// services, kernel settings, kubeadm) is played by programs that keep what they were told below that folder too.

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "cloister-node-"));
});
after(() => rm(root, { recursive: true }));

/** A machine of its own: a folder for /etc, and the programs first in the path. */
async function machine(name: string, release = "ID=debian\nVERSION_CODENAME=trixie\n") {
  const folder = join(root, name);
  const bin = join(folder, "bin");
  await mkdir(join(folder, "etc"), { recursive: true });
  await mkdir(join(folder, "state"));
  await mkdir(bin);
  await writeFile(join(folder, "etc/os-release"), release);
  await writeFile(join(folder, "etc/fstab"), "UUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n");
  await writeFile(join(folder, "state/swap"), "");
  for (const [program, text] of Object.entries(STAND_INS)) {
    await writeFile(join(bin, program), `#!/bin/sh\nS='${join(folder, "state")}'\n${text}`);
    await chmod(join(bin, program), 0o755);
  }
  const prelude = `PATH='${bin}':"$PATH"\n`;
  const shell = localShell();
  return {
    etc: join(folder, "etc"),
    read: (path: string) => readFile(join(folder, path), "utf8"),
    calls: async () => (await readFile(join(folder, "state/calls"), "utf8").catch(() => "")).trim().split("\n"),
    set: (file: string, text: string) => writeFile(join(folder, "state", file), text),
    execute: (script: string, signal?: AbortSignal) => shell(prelude + script, signal),
    plan: (input: NodeInput = {}) =>
      bootstrapPlan(readNodeSettings({ joinFile: join(folder, "join.yaml"), ...input }), join(folder, "etc")).map(
        withoutKernel,
      ),
  };
}

/** A step without the conditions on this machine's kernel: no program can play that. */
function withoutKernel(step: BootstrapStep): BootstrapStep {
  const check = step.check.filter((condition) => !/ \/(?:proc|sys)\//.test(condition));
  return { ...step, check: check.length === 0 ? ["true"] : check };
}

const silent = { onStart: () => undefined, onEnd: () => undefined };
const idsOf = (steps: readonly { readonly id: string }[]): string[] => steps.map(({ id }) => id);

test("a control plane is set up in order, and a second run changes nothing", async () => {
  const node = await machine("twice");
  const steps = node.plan({ schedule: true });
  const first = await runSteps(steps, { ...silent, execute: node.execute });
  assert.deepEqual(idsOf(first), idsOf(steps));
  assert.ok(first.some(({ state }) => state === "done"));
  const calls = await node.calls();
  const second = await runSteps(steps, { ...silent, execute: node.execute });
  assert.deepEqual([...new Set(second.map(({ state }) => state))], ["unchanged"]);
  assert.deepEqual(await node.calls(), calls);
});

test("what it wrote is what the parts read", async () => {
  const node = await machine("files", "ID=ubuntu\nVERSION_CODENAME=noble\n");
  await runSteps(node.plan({ kubernetes: "1.35", endpoint: "api.example:6443", podSubnet: "10.9.0.0/16" }), {
    ...silent,
    execute: node.execute,
  });
  assert.match(await node.read("etc/fstab"), /^UUID=1 .*\n# \/swapfile none swap/);
  assert.match(await node.read("etc/sysctl.d/90-cloister-kubernetes.conf"), /^net\.ipv4\.ip_forward = 1$/m);
  assert.equal(
    await node.read("etc/apt/sources.list.d/cloister-kubernetes.list"),
    `deb [arch=amd64 signed-by=${node.etc}/apt/keyrings/cloister-kubernetes.asc] https://pkgs.k8s.io/core:/stable:/v1.35/deb/ /\n`,
  );
  assert.match(await node.read("etc/apt/sources.list.d/cloister-docker.list"), /linux\/ubuntu noble stable\n$/);
  const containerd = await node.read("etc/containerd/config.toml");
  assert.match(containerd, /runc\.options\]\nSystemdCgroup = true/);
  assert.equal(containerd.split("SystemdCgroup").length, 2);
  const kubeadm = await node.read("etc/kubernetes/cloister-kubeadm.yaml");
  assert.match(kubeadm, /^kubernetesVersion: v1\.36\.3$/m);
  assert.match(kubeadm, /^controlPlaneEndpoint: "api\.example:6443"$/m);
  assert.match(kubeadm, /^ {2}podSubnet: "10\.9\.0\.0\/16"$/m);
  assert.match(await node.read("state/flannel"), /"Network": "10\.9\.0\.0\/16"/);
});

test("a token is in the join file only, which nobody but its owner reads, and a worker takes it away", async () => {
  const node = await machine("token");
  await runSteps(node.plan(), { ...silent, execute: node.execute });
  assert.match(
    await node.read("join.yaml"),
    /apiServerEndpoint: "10\.0\.0\.1:6443"\n {4}token: "abcdef\.0123456789abcdef"/,
  );
  assert.equal((await stat(join(root, "token/join.yaml"))).mode & 0o777, 0o600);
  assert.ok(!(await node.calls()).some((call) => call.includes("abcdef.")));
  const results = await runSteps(node.plan({ role: "worker" }).slice(-1), { ...silent, execute: node.execute });
  assert.deepEqual(results, [{ id: "join", state: "done" }]);
  assert.ok(!(await readdir(join(root, "token"))).includes("join.yaml"));
});

test("a key that is not the expected one never gets to its place, and nothing after it is done", async () => {
  const node = await machine("key");
  await node.set("fingerprint", "0000000000000000000000000000000000000000");
  const done: string[] = [];
  await assert.rejects(
    runSteps(node.plan(), { ...silent, execute: node.execute, onEnd: ({ id }) => done.push(id) }),
    (error) =>
      error instanceof DeployError &&
      error.code === "BOOTSTRAP_STEP_FAILED" &&
      /containerd-repository/.test(error.explanation.what) &&
      error.explanation.remedy.length > 10,
  );
  assert.equal(done.at(-1), "tools");
  assert.deepEqual(await readdir(join(node.etc, "apt/sources.list.d")), []);
  assert.ok(!(await readdir(join(node.etc, "apt/keyrings"))).includes("cloister-docker.asc"));
});

test("another system, another minor and a step that ends well without effect are refused", async () => {
  const fedora = await machine("fedora", "ID=fedora\nVERSION_CODENAME=\n");
  await assert.rejects(runSteps(fedora.plan(), { ...silent, execute: fedora.execute }), /step system/);
  const older = await machine("older");
  await older.set("kubelet", "hold ok installed 1.35.2-1.1");
  await assert.rejects(runSteps(older.plan(), { ...silent, execute: older.execute }), /kubelet of another minor/);
  const idle: BootstrapStep = { id: "x", title: "x", check: ["false"], run: ["true"], cause: "c", remedy: "r" };
  await assert.rejects(runSteps([idle], { ...silent, execute: localShell() }), /bring about is not so/);
});

test("the printed script does what the runner does, and names what failed", async () => {
  const [byRunner, byScript] = [await machine("runner"), await machine("script")];
  await runSteps(byRunner.plan(), { ...silent, execute: byRunner.execute });
  const script = bootstrapScript("control-plane", byScript.plan());
  const { code, said } = await byScript.execute(script);
  assert.equal(code, 0, said);
  for (const path of ["etc/containerd/config.toml", "etc/kubernetes/cloister-kubeadm.yaml", "state/packages"]) {
    assert.equal(await byScript.read(path), await byRunner.read(path));
  }
  const again = await byScript.execute(script);
  assert.ok(!again.said.includes("+ "), again.said);
  const broken = await machine("broken");
  await broken.set("fingerprint", "00");
  const failed = await broken.execute(bootstrapScript("worker", broken.plan({ role: "worker" })));
  assert.equal(failed.code, 1);
  assert.match(failed.said, /FAILED containerd-repository\ncause: .*\nremedy: /);
});

test("an interrupt ends the step and the run", async () => {
  const slow: BootstrapStep = { id: "x", title: "x", check: ["false"], run: ["sleep 60"], cause: "c", remedy: "r" };
  const interrupt = new AbortController();
  const running = runSteps([slow], {
    execute: localShell(),
    onStart: () => setTimeout(() => interrupt.abort(), 200),
    onEnd: () => undefined,
    signal: interrupt.signal,
  });
  await assert.rejects(running, (error) => error instanceof DeployError && error.code === "INTERRUPTED");
});

test("every script is one that the shell reads, and every step says cause and remedy", async () => {
  const shell = localShell();
  for (const role of ["control-plane", "worker"] as const) {
    const steps = bootstrapPlan(readNodeSettings({ role, sgx: true }));
    for (const step of steps) {
      for (const script of [checkScript(step), runScript(step)]) {
        const { code, said } = await shell(`sh -n <<'SCRIPT'\n${script}\nSCRIPT`);
        assert.equal(code, 0, `${step.id}: ${said}`);
      }
      assert.ok(step.check.length > 0 && step.cause.length > 20 && step.remedy.length > 20, step.id);
    }
    assert.equal(new Set(idsOf(steps)).size, steps.length);
  }
});

test("settings that break out of a script, or that a worker cannot have, are refused", () => {
  for (const input of [
    { nodeName: "x'; reboot" },
    { endpoint: "$(reboot)" },
    { flannelManifest: "http://plain.example/flannel.yml" },
    { joinFile: "/etc/../'x" },
    { imageRepository: 'x"y' },
    { kubernetes: "1.36.3" },
    { podSubnet: "10.244.0.0" },
    { role: "worker", nodeName: "n" },
    { role: "worker", schedule: true },
    { unknown: 1 },
  ]) {
    assert.throws(
      () => readNodeSettings(input),
      (error) => error instanceof DeployError && error.code === "BOOTSTRAP_SETTINGS_INVALID",
      JSON.stringify(input),
    );
  }
});
