import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { testCertificates } from "@cloister/model-server/testing";
import { ROOT } from "../support/chain.ts";
import { spawnServe, writeSslConfig } from "../support/serve.ts";

// Needs a Python with TensorFlow and the official TensorFlow Serving stubs: CLOISTER_ORACLE_PYTHON names it.

const run = promisify(execFile);
const MODELS = join(ROOT, "packages/saved-model/test-models/tfserving");
const GOLDEN = join(ROOT, "packages/model-server/test-data/saved_model_half_plus_two_2_versions_metadata.json");

const config = (name: string, folder: string, more = ""): string =>
  `config { name: "${name}" base_path: "${join(MODELS, folder)}" model_platform: "tensorflow" ${more} }`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

test("TensorFlow Serving's integration cases pass over mutual TLS with the original's own flags", async () => {
  const python = process.env["CLOISTER_ORACLE_PYTHON"];
  assert.ok(python !== undefined && python !== "", "CLOISTER_ORACLE_PYTHON is not set");
  const folder = await mkdtemp(join(tmpdir(), "cloister-upstream-"));
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const { ca, server, client } = testCertificates();
  const models = [
    config("half", "saved_model_half_plus_two_2_versions", "model_version_policy { all {} }"),
    config("tf2", "saved_model_half_plus_two_tf2_cpu"),
    config("three", "saved_model_half_plus_three"),
    config("counter", "saved_model_counter"),
  ];
  const restPort = await freePort();
  const { process: serve, port } = await spawnServe(folder, [
    "--port=0",
    `--rest_api_port=${restPort}`,
    `--ssl_config_file=${await writeSslConfig(folder, server, ca)}`,
    `--model_config_file=${await file("models.config", `model_config_list { ${models.join("\n")} }`)}`,
    `--monitoring_config_file=${await file("monitoring.config", "prometheus_config { enable: true }")}`,
    "--max_num_load_retries=0",
    "--enable_model_warmup=true",
    "--grpc_channel_arguments=grpc.max_connection_age_ms=2000",
  ]);
  try {
    const { stdout } = await run(python, [
      join(ROOT, "e2e/oracle/upstream_cases.py"),
      ...["--grpc", `127.0.0.1:${port}`, "--rest", `https://127.0.0.1:${restPort}`, "--server-name", "server.test"],
      ...["--ca", await file("ca.pem", ca), "--cert", await file("client.pem", client.cert)],
      ...["--key", await file("client-key.pem", client.key)],
      ...["--golden", GOLDEN, "--models", MODELS, "--work", folder],
    ]).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? "the cases did not run" }));
    assert.doesNotMatch(stdout, /DIFFERENT/);
    assert.match(stdout, /(\d+) of \1 cases equal/);
  } finally {
    serve.kill("SIGTERM");
    const [code] = (await once(serve, "exit")) as [number | null];
    await rm(folder, { recursive: true });
    assert.equal(code, 0);
  }
});
