import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import type { Engine } from "@cloister/model-server/engine";
import { testCertificates } from "@cloister/model-server/testing";
import { run } from "../../program.ts";

// The original client's command lines, unchanged but for host and port.

const MAIN = join(import.meta.dirname, "../../main.ts");
const certificates = testCertificates();
const info = { name: "x:0", dtype: "float", shape: [-1, 224, 224, 3] } as const;

/** Mean of the pixels, under the names of the original's model. */
const meanEngine: Engine = {
  name: "mean",
  load: async () => ({
    signatures: new Map([
      [
        "serving_default",
        {
          methodName: "tensorflow/serving/predict",
          inputs: new Map([["input", info]]),
          outputs: new Map([["predict", { ...info, shape: [-1] }]]),
        },
      ],
    ]),
    unsupported: new Map(),
    close: async () => undefined,
    run: async ({ inputs }) => {
      const { shape } = inputs.get("input") ?? { shape: [] };
      const batch = shape[0] ?? 0;
      return new Map([["predict", { dtype: "float" as const, shape: [batch], data: new Float32Array(batch) }]]);
    },
  }),
};

let folder = "";
/** Of the server that was started last. */
let restPort = 0;
const servers: ModelServer[] = [];
const path = (name: string): string => join(folder, name);

async function start(tls: "one-way" | "mutual" | "none"): Promise<string> {
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    ...(tls === "none"
      ? { insecure: true }
      : { tls: { ...certificates.server, ca: certificates.ca, requireClientCertificate: tls === "mutual" } }),
    models: [{ name: "resnet50-v15-fp32", version: 1, files: new Map() }],
    engine: meanEngine,
    replicaId: "one",
    rest: { host: "127.0.0.1", port: 0 },
    insecureRest: tls === "none",
  });
  servers.push(server);
  restPort = server.restAddress?.port ?? 0;
  return `127.0.0.1:${server.address.port}`;
}

async function bench(...args: readonly string[]): Promise<{ code: number; lines: string[]; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, "bench", ...args], {
      timeout: 60_000,
    });
    return { code: 0, lines: stdout.trimEnd().split("\n"), stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, lines: stdout.trimEnd().split("\n"), stderr };
  }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-bench-"));
  await writeFile(path("ca_cert.pem"), certificates.ca);
  await writeFile(path("server.pem"), certificates.server.cert);
  await writeFile(path("cert.pem"), certificates.client.cert);
  await writeFile(path("key.pem"), certificates.client.key);
});

after(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await rm(folder, { recursive: true });
});

const QUERY =
  /^query: (secure|insecure) channel, task [01], batch 2, loop_idx [0-2], latency\(ms\) \d+\.\d, tps: \d+\.\d$/;
const SUMMARY = /^summary: cnum 2, batch 2, e2e time\(s\) \d+\.\d+, average latency\(ms\) \d+\.\d, tps: \d+\.\d$/;
const LOAD = ["-batch", "2", "-cnum", "2", "-loop", "3"];

describe("the original client's command line", () => {
  for (const [mode, kind, tls] of [
    ["one-way", "secure", () => ["-crt", path("server.pem")]],
    ["mutual", "secure", () => ["-ca", path("ca_cert.pem"), "-crt", path("cert.pem"), "-key", path("key.pem")]],
    ["none", "insecure", () => []],
  ] as const) {
    test(`is taken for ${mode} TLS, and every line has the original's form`, async () => {
      const { code, lines, stderr } = await bench(...LOAD, "-url", await start(mode), ...tls());
      assert.equal(code, 0, stderr);
      assert.equal(lines.length, 8);
      for (const line of lines.slice(0, 6)) assert.match(line, QUERY);
      assert.ok(lines.every((line, index) => index > 5 || line.includes(`${kind} channel`)));
      assert.match(lines[6] ?? "", /"predict"/);
      assert.match(lines[7] ?? "", SUMMARY);
    });
  }

  test("ends with 1 where calls fail, and counts them by code", async () => {
    const { code, lines } = await bench("-cnum", "1", "-loop", "1", "-url", "127.0.0.1:1");
    assert.equal(code, 1);
    assert.equal(lines.at(-1), "failed: UNAVAILABLE 1");
  });

  for (const args of [
    ["-url", "nowhere"],
    ["-loop", "many"],
    ["-batch", "1", "--unknown"],
  ]) {
    test(`ends with 2 for: ${args.join(" ")}`, async () => {
      assert.equal(await run(["bench", ...args]), 2);
    });
  }
});

test("our own grammar gives percentiles, shares, errors and a picture", async () => {
  const { code, lines, stderr } = await bench(
    ...["--address", await start("one-way"), "--ca", path("ca_cert.pem"), "--model", "resnet50-v15-fp32"],
    ...["--duration", "1", "--rate", "50", "--concurrency", "4", "--json", "--svg", path("latency.svg")],
  );
  assert.equal(code, 0, stderr);
  const report = JSON.parse(lines.join("\n")) as Record<string, unknown> & { replicas: Record<string, number> };
  assert.equal(report["schema"], "cloister-bench/1");
  assert.equal(report["failed"], 0);
  assert.ok((report.replicas["one"] ?? 0) > 10 && (report.replicas["one"] ?? 0) <= 51);
  assert.match(await readFile(path("latency.svg"), "utf8"), /^<svg /);
});

test("REST is measured like gRPC, over TLS and spread over the addresses of a name", async () => {
  await start("one-way");
  const { code, lines, stderr } = await bench(
    ...["--transport", "rest", "--address", `localhost:${restPort}`, "--all-addresses"],
    ...["--ca", path("ca_cert.pem"), "--server-name", "server.test", "--model", "resnet50-v15-fp32"],
    ...["--loops", "2", "--concurrency", "2", "--json"],
  );
  assert.equal(code, 0, stderr);
  const { transport, succeeded, replicas } = JSON.parse(lines.join("\n")) as Record<string, unknown>;
  assert.deepEqual([transport, succeeded, replicas], ["rest", 4, { one: 4 }]);
});

test("where no flag says whom to trust, the message names the flags: OPTION_MISSING", async () => {
  const { code, stderr } = await bench("--address", await start("one-way"));
  assert.equal(code, 2);
  assert.match(stderr, /OPTION_MISSING.*--ca.*--insecure/s);
});

test("plaintext and somebody to trust exclude each other: OPTIONS_CONFLICT", async () => {
  const { code, stderr } = await bench("--address", await start("none"), "--insecure", "--ca", path("ca_cert.pem"));
  assert.equal(code, 2);
  assert.match(stderr, /OPTIONS_CONFLICT/);
});
