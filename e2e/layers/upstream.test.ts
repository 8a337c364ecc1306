import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { testCertificates } from "@cloister/model-server/testing";
import { ROOT } from "../support/chain.ts";
import { spawnCli } from "../support/cli.ts";

// Needs a Python with TensorFlow and the official TensorFlow Serving stubs: CLOISTER_ORACLE_PYTHON names it.

const run = promisify(execFile);
const MODELS = join(ROOT, "packages/saved-model/test-models/tfserving");
const GOLDEN = join(ROOT, "packages/model-server/test-data/saved_model_half_plus_two_2_versions_metadata.json");

const quoted = (pem: string): string => `"${pem.replaceAll("\n", "\\n")}"`;
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
  const ssl = `server_key: ${quoted(server.key)} server_cert: ${quoted(server.cert)} custom_ca: ${quoted(ca)} client_verify: true`;
  const models = [
    config("half", "saved_model_half_plus_two_2_versions", "model_version_policy { all {} }"),
    config("tf2", "saved_model_half_plus_two_tf2_cpu"),
    config("three", "saved_model_half_plus_three"),
    config("counter", "saved_model_counter"),
  ];
  const [grpcPort, restPort] = [await freePort(), await freePort()];
  const serve = spawnCli(
    [
      "serve",
      `--port=${grpcPort}`,
      `--rest_api_port=${restPort}`,
      `--ssl_config_file=${await file("ssl.cfg", ssl)}`,
      `--model_config_file=${await file("models.config", `model_config_list { ${models.join("\n")} }`)}`,
      `--monitoring_config_file=${await file("monitoring.config", "prometheus_config { enable: true }")}`,
      "--max_num_load_retries=0",
      "--enable_model_warmup=true",
      "--grpc_channel_arguments=grpc.max_connection_age_ms=2000",
      "--json",
    ],
    folder,
  );
  try {
    await listening(serve);
    const { stdout } = await run(python, [
      join(ROOT, "e2e/oracle/upstream_cases.py"),
      ...["--grpc", `127.0.0.1:${grpcPort}`, "--rest", `https://127.0.0.1:${restPort}`, "--server-name", "server.test"],
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

/** Resolves once the server says that it listens. */
async function listening(serve: ReturnType<typeof spawnCli>): Promise<void> {
  if (serve.stdout === null) throw new Error("the output is piped");
  for await (const line of createInterface(serve.stdout)) {
    if (line.includes('"event":"listening"')) {
      serve.stdout.resume();
      return;
    }
  }
  throw new Error("the server ended before it listened");
}
