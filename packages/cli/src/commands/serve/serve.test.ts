import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { connect } from "node:tls";
import { testCertificates } from "@cloister/model-server/testing";
import { run } from "../../program.ts";

const MODELS = join(import.meta.dirname, "../../../../saved-model/test-models/tfserving");
const HALF = join(MODELS, "saved_model_half_plus_two_2_versions");

interface ServeEvent {
  readonly event: string;
  readonly text?: string;
  readonly grpc?: { readonly port: number };
  readonly why?: string;
  readonly path?: string;
  readonly status?: string;
  readonly requestBytes?: number;
  readonly model?: string;
}

interface Serving {
  readonly process: ChildProcess;
  /** The next event of that name. */
  readonly next: (event: string) => Promise<ServeEvent>;
}

function serve(context: TestContext, ...args: readonly string[]): Serving {
  const main = join(import.meta.dirname, "../../main.ts");
  const child = spawn(process.execPath, [main, "serve", "--json", "--port=0", "--host=127.0.0.1", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  if (child.stdout === null) throw new Error("the output is piped");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (event: string): Promise<ServeEvent> => {
    for (;;) {
      const { value, done } = await lines.next();
      assert.ok(done !== true, `the server ended before the event ${event}`);
      const found = JSON.parse(value) as ServeEvent;
      if (found.event === event) return found;
    }
  };
  return { process: child, next };
}

async function sslConfig(folder: string, certificates = testCertificates()): Promise<{ path: string; ca: string }> {
  const quoted = (pem: string): string => `"${pem.replaceAll("\n", "\\n")}"`;
  const { key, cert } = certificates.server;
  const path = join(folder, "ssl.cfg");
  await writeFile(path, `server_key: ${quoted(key)}\nserver_cert: ${quoted(cert)}\n`);
  return { path, ca: certificates.ca };
}

function handshake(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, ca, servername: "server.test", ALPNProtocols: ["h2"] }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

test("a command line without a model, without TLS, or with a flag that is not known is wrong usage", async () => {
  assert.equal(await run(["serve", "--insecure"]), 2);
  assert.equal(await run(["serve", `--model_base_path=${HALF}`]), 2);
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, "--unknown_flag=1"]), 2);
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, "--enable_model_warmup=maybe"]), 2);
  const sealed = ["--wrap-key=key", "--owner-key=owner.pem"];
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, ...sealed]), 2);
  const alone = ["--enable_per_model_batching_parameters"];
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, ...alone]), 2);
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, "--trace-ratio=2"]), 2);
  const both = ["--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1"];
  assert.equal(await run(["serve", "--insecure", `--model_base_path=${HALF}`, ...both]), 2);
});

test("a model that does not load, a bad config file and REST without TLS are refused", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const bad = `--model_base_path=${join(MODELS, "bad_half_plus_two")}`;
  assert.equal(await run(["serve", "--insecure", "--max_num_load_retries=0", "--port=0", bad]), 1);
  await writeFile(join(folder, "models.config"), "improperly formatted file\n");
  const file = `--model_config_file=${join(folder, "models.config")}`;
  assert.equal(await run(["serve", "--insecure", "--port=0", file]), 1);
  const rest = ["--rest_api_port=1", `--model_base_path=${HALF}`];
  assert.equal(await run(["serve", "--insecure", "--port=0", ...rest]), 1);
  const channel = ["--grpc_channel_arguments=nonsense", `--model_base_path=${HALF}`];
  assert.equal(await run(["serve", "--insecure", "--port=0", ...channel]), 1);
  const scheme = "--model_base_path=ftp://host/models";
  assert.equal(await run(["serve", "--insecure", "--max_num_load_retries=0", "--port=0", scheme]), 1);
});

test("a sealed model is opened in memory with its owner's keys, measured for batching, and each call is told", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const sealed = join(folder, "sealed");
  const keys = ["--sealed", sealed, "--keys", join(folder, "keys"), "--json"];
  assert.equal(await run(["seal", "bundle", join(HALF, "00000123"), "--name=half", "--model-version=123", ...keys]), 0);
  const flags = [`--model_base_path=${join(sealed, "models/half")}`, "--model_name=half", "--insecure", "--access-log"];
  const { next } = serve(context, ...flags, `--seal-keys=${join(folder, "keys")}`, "--enable_batching=auto");
  assert.match((await next("batching_measured")).why ?? "", /./);
  const port = (await next("listening")).grpc?.port ?? assert.fail();
  const input = join(folder, "input.json");
  await writeFile(input, "[2, 4]");
  const call = ["--model=half", `--address=127.0.0.1:${port}`, "--insecure", `--input=${input}`, "--json"];
  assert.equal(await run(["infer", ...call]), 0);
  const service = "/tensorflow.serving.PredictionService";
  assert.equal((await next("call")).path, `${service}/GetModelMetadata`);
  const { path, status, requestBytes } = await next("call");
  assert.deepEqual([path, status], [`${service}/Predict`, "OK"]);
  assert.ok((requestBytes ?? 0) > 0);
  for (const name of await readdir(sealed, { recursive: true })) {
    if (name.endsWith(".json") || (await stat(join(sealed, name))).isDirectory()) continue;
    assert.equal((await readFile(join(sealed, name))).includes("serving_default"), false);
  }
});

test("it serves over TLS, warns of flags without effect, takes new certificates, and drains at SIGTERM", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const first = await sslConfig(folder);
  const flags = [`--model_base_path=${HALF}`, `--ssl_config_file=${first.path}`, "--grpc_max_threads=4"];
  const { process: child, next } = serve(context, ...flags);
  assert.match((await next("warning")).text ?? "", /grpc_max_threads has no effect/);
  const port = (await next("listening")).grpc?.port ?? assert.fail();
  assert.equal(await handshake(port, first.ca), true);
  const second = await sslConfig(folder);
  await next("tls_replaced");
  assert.deepEqual([await handshake(port, second.ca), await handshake(port, first.ca)], [true, false]);
  await writeFile(second.path, "broken");
  assert.match((await next("warning")).text ?? "", /is not used: TEXT_FORMAT_MALFORMED/);
  assert.equal(await handshake(port, second.ca), true);
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0);
});

test("a model that is not there yet is waited for, and a signal ends the waiting", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const base = join(folder, "late");
  const { process: child, next } = serve(context, "--insecure", `--model_base_path=${base}`);
  await next("base_path_missing");
  await cp(HALF, base, { recursive: true });
  await next("listening");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);

  const waiting = serve(context, "--insecure", `--model_base_path=${join(folder, "never")}`);
  await waiting.next("base_path_missing");
  waiting.process.kill("SIGINT");
  assert.deepEqual(await once(waiting.process, "exit"), [0, null]);
});

test("certificates that change while models are waited for are used as soon as it listens", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const { path } = await sslConfig(folder);
  const base = join(folder, "late");
  const { process: child, next } = serve(context, `--model_base_path=${base}`, `--ssl_config_file=${path}`);
  await next("base_path_missing");
  const second = await sslConfig(folder);
  await cp(HALF, base, { recursive: true });
  const port = (await next("listening")).grpc?.port ?? assert.fail();
  await next("tls_replaced");
  assert.equal(await handshake(port, second.ca), true);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a changed model config file is used, and a bad one is told and changes nothing", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "models.config");
  const config = (...names: readonly string[]): string => {
    const models = names.map((name) => `config { name: "${name}" base_path: "${HALF}" model_platform: "tensorflow" }`);
    return `model_config_list { ${models.join(" ")} }`;
  };
  await writeFile(file, config("one"));
  const flags = ["--insecure", `--model_config_file=${file}`, "--model_config_file_poll_wait_seconds=1"];
  const { process: child, next } = serve(context, ...flags);
  assert.equal((await next("loaded")).model, "one");
  await next("listening");
  await writeFile(file, "improperly formatted file");
  assert.match((await next("warning")).text ?? "", /new model configuration is not used: Invalid protobuf file/);
  await writeFile(file, config("one", "two"));
  assert.equal((await next("loaded")).model, "two");
  await next("config_applied");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a port that is taken and TLS material that is none are told by their codes", async (context) => {
  const taken = createServer().listen(0, "127.0.0.1");
  context.after(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const error = context.mock.method(process.stderr, "write", () => true);
  const told = (): string => error.mock.calls.map(({ arguments: [text] }) => String(text)).join("");
  assert.equal(
    await run(["serve", "--insecure", "--host=127.0.0.1", `--port=${port}`, `--model_base_path=${HALF}`]),
    1,
  );
  assert.match(told(), /^LISTEN_FAILED: .*EADDRINUSE/m);
  const folder = await mkdtemp(join(tmpdir(), "cloister-serve-"));
  context.after(() => rm(folder, { recursive: true }));
  const config = join(folder, "ssl.cfg");
  await writeFile(config, 'server_key: "x" server_cert: "y"');
  assert.equal(await run(["serve", "--port=0", `--ssl_config_file=${config}`, `--model_base_path=${HALF}`]), 1);
  assert.match(told(), /^TLS_MATERIAL_INVALID: /m);
});
