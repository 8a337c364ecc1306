import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { encodeManifest, type EnclaveManifest, measureSimulated } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { type Session, startSession } from "../../testing/session.ts";

const MANIFEST: EnclaveManifest = {
  format: "cloister-enclave/1",
  entrypoint: "main.ts",
  trustedFiles: { "main.ts": "ab".repeat(32) },
  config: {
    model: { name: "digits", version: 3 },
    broker: { serverName: "attestation.service.com", caPem: "-", logKey: "AAAA" },
    engineThreads: 1,
  },
  isvProdId: 0,
  isvSvn: 0,
};
let folder: string;
let manifest: string;
let session: Session;

before(async () => {
  session = startSession();
  folder = await mkdtemp(join(tmpdir(), "cloister-deploy-"));
  manifest = join(folder, "manifest.json");
  await writeFile(manifest, encodeManifest(MANIFEST));
  await writeFile(join(folder, "cloister.yaml"), `kubernetes:\n  image: x@sha256:${"0".repeat(64)}\n  broker: {}\n`);
});
after(async () => {
  session.close();
  await rm(folder, { recursive: true });
});

const deploy = (...args: string[]) => session.run(folder, "deploy", ...args);

test("render prints one stream with the model and the measurement of the manifest", async () => {
  const { code, stdout, stderr } = await deploy("render", "--enclave-manifest", manifest);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /kind: Deployment/);
  assert.match(stdout, /cloister\.local\/model: digits\/3/);
  assert.ok(stdout.includes(toHex(measureSimulated(MANIFEST))));
});

test("render writes a chart and a tree, and flags go over the configuration", async () => {
  const chart = await deploy(
    "render",
    "--enclave-manifest",
    manifest,
    "--format",
    "helm",
    "--output",
    "chart",
    "--json",
  );
  assert.equal(chart.code, 0, chart.stderr);
  assert.ok((await readdir(join(folder, "chart"))).includes("values.schema.json"));
  const tree = ["--format", "kustomize", "--output", "tree", "--preset", "sgx-intel", "--namespace", "other"];
  assert.equal((await deploy("render", "--enclave-manifest", manifest, ...tree)).code, 0);
  assert.deepEqual((await readdir(join(folder, "tree"))).sort(), ["base", "components", "overlays"]);
});

test("a command without what it needs says so, with a code", async () => {
  const { code, stderr } = await deploy("render");
  assert.equal(code, 2);
  assert.match(stderr, /^OPTION_MISSING: /);
  const unreachable = await deploy("status", "--kubeconfig", join(folder, "none.conf"), "--json");
  assert.equal(unreachable.code, 1);
  assert.match(unreachable.stdout, /CLUSTER_UNREACHABLE/);
});

test("the broker in the cluster is rendered before there is a manifest", async () => {
  await writeFile(join(folder, "inside.yaml"), "kubernetes:\n  broker: { kind: in-cluster, image: b@sha256 }\n");
  const { code, stdout, stderr } = await deploy("render", "--broker-only", "--config", "inside.yaml");
  assert.equal(code, 0, stderr);
  const kinds = [...stdout.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind);
  const expected = ["Namespace", "ServiceAccount", "NetworkPolicy", "PersistentVolumeClaim", "Service", "StatefulSet"];
  assert.deepEqual(kinds, expected);
  await writeFile(join(folder, "outside.yaml"), "kubernetes:\n  broker: { kind: direct }\n");
  const outside = await deploy("render", "--broker-only", "--config", "outside.yaml");
  assert.equal(outside.code, 2);
  assert.match(outside.stderr, /OPTIONS_CONFLICT.*broker\.kind direct/);
});

test("bootstrap prints a script or the steps, and refuses settings that no script can hold", async () => {
  const script = await deploy("bootstrap", "--role", "worker");
  assert.equal(script.code, 0, script.stderr);
  assert.match(script.stdout, /^#!\/bin\/sh\n[\s\S]*kubeadm join --config/);
  const { stdout } = await deploy("bootstrap", "--kubernetes", "1.35", "--json");
  const { role, steps } = JSON.parse(stdout) as { role: string; steps: { id: string; check: string; run: string }[] };
  assert.equal(role, "control-plane");
  assert.ok(steps.some(({ id, run }) => id === "kubernetes-repository" && run.includes("/v1.35/deb/")));
  const refused = await deploy("bootstrap", "--node-name", "$(reboot)", "--json");
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /BOOTSTRAP_SETTINGS_INVALID/);
  assert.equal((await deploy("bootstrap", "--role", "broker")).code, 2);
});
