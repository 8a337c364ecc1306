import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeCollateral } from "@cloister/attestation";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { readSettings, renderObjects, valuesOf } from "@cloister/deploy/kubernetes";
import { TEST_MANIFEST, testSettings } from "@cloister/deploy/kubernetes/testing";
import { encodePem } from "@cloister/encoding/pem";

const PROGRAM = fileURLToPath(new URL("../../main.ts", import.meta.url));
interface Workload {
  readonly spec: { readonly template: { readonly spec: { readonly containers: { readonly command: string[] }[] } } };
}

test("the command of the broker in the cluster starts a broker, with what Secret and ConfigMap hold", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-inside-"));
  t.after(() => rm(folder, { recursive: true }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const anchorSha256 = createHash("sha256").update(platform.trustAnchor.certificate).digest("hex");
  const policy = {
    schema: "cloister-policy/1",
    production: false,
    workloads: [
      {
        name: "digits",
        identities: [{ tee: "sgx", mrenclave: "ab".repeat(32) }],
        platforms: [{ kind: "simulated", anchorSha256 }],
        secrets: { keyId: "models/digits/1" },
      },
    ],
  };
  const owner = generateKeyPairSync("ed25519").publicKey;
  for (const name of ["etc", "passphrase", "bundles"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "etc/policy.yaml"), JSON.stringify(policy));
  await writeFile(join(folder, "etc/owner.pub.pem"), owner.export({ type: "spki", format: "pem" }));
  await writeFile(join(folder, "etc/anchor.pem"), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(join(folder, "etc/collateral.json"), encodeCollateral(platform.collateral()));
  await writeFile(join(folder, "passphrase/passphrase"), "four words of nonsense\n", { mode: 0o600 });

  const settings = testSettings({ broker: { kind: "in-cluster", image: "broker@sha256" } });
  const objects = renderObjects(valuesOf(readSettings(settings), TEST_MANIFEST)).map(({ object }) => object);
  const workload = objects.find(({ kind }) => kind === "StatefulSet") as unknown as Workload;
  const [, , ...words] = workload.spec.template.spec.containers[0]?.command ?? [];
  // Folders of the pod are folders of this test, and its ports are whatever is free.
  const args = words.map((word) =>
    word
      .replace("/run/cloister/", `${folder}/`)
      .replace("/etc/cloister/", `${folder}/etc/`)
      .replace("/var/lib/cloister", `${folder}/state`)
      .replace(/^(--(?:health-)?port)=\d+$/, "$1=0"),
  );
  const broker = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => broker.kill("SIGKILL"));
  let complaints = "";
  broker.stderr.on("data", (part: Buffer) => (complaints += part.toString()));
  const closed = once(broker, "close");
  const lines = createInterface(broker.stdout)[Symbol.asyncIterator]();
  const { value } = await lines.next();
  assert.ok(typeof value === "string", complaints);
  const started = JSON.parse(value) as { type: string; health: { port: number } };
  assert.equal(started.type, "started", complaints);
  assert.equal((await fetch(`http://127.0.0.1:${started.health.port}/readyz`)).status, 200);
  broker.kill("SIGTERM");
  assert.deepEqual(await closed, [0, null], complaints);
});
