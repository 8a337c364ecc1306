import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { startAttestationFolder } from "../packages/enclave/src/testing/attestation-folder.ts";
import { startSession } from "../packages/cli/src/testing/session.ts";
import { ROOT } from "./support/chain.ts";
import { spawnCli } from "./support/cli.ts";

/** Mounts that nobody else sees; without root by way of a user namespace. */
const NAMESPACE = [...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount"];
const SERVING_NAME = "grpc.tf-serving.service.com";

describe("a replica in a process of its own", () => {
  let cwd: string;
  let brokerPort: number;
  const session = startSession();
  const running = new Set<ChildProcess>();
  const at = (name: string): string => join(cwd, name);

  before(async () => {
    cwd = await mkdtemp(join(tmpdir(), "cloister-run-"));
    brokerPort = await freePort();
    await done("enclave", "simulate", "--output", "simulated");
    await done(
      ...["broker", "init", "--passphrase-file", "passphrase", "--policy", "policy.json"],
      ...["--simulated-anchor", "simulated/anchor.pem"],
    );
    await done("seal", "bundle", join(ROOT, "examples/digits/saved_model"), "--name", "digits");
    await done(
      ...["broker", "keys", "import", "models/digits/1", "--from", "keys/digits-1.wrap-key"],
      ...["--passphrase-file", "passphrase"],
    );
    await done("certs", "mutual", SERVING_NAME, "--client", "alice");
    await writeManifest("enclave.json");
    await chmod(at("sealed/models/digits/1"), 0o500);
  });

  after(async () => {
    session.close();
    for (const child of running) child.kill("SIGKILL");
    await chmod(at("sealed/models/digits/1"), 0o700);
    await rm(cwd, { recursive: true });
  });

  test("waits for the broker, is admitted, serves, tells its state, and ends with 0 on SIGTERM", async () => {
    await allow("enclave.json");
    const replica = startReplica();
    const log = logOf(replica);
    const probes = `http://127.0.0.1:${(await log.event("probes"))["port"]}`;
    assert.equal((await log.event("waiting"))["code"], "BROKER_UNREACHABLE");
    assert.equal((await fetch(`${probes}/livez`)).status, 200);
    assert.equal((await fetch(`${probes}/readyz`)).status, 503);
    const broker = await startBroker();
    const { publicKeySha256 } = await log.event("admitted");
    const ready = await log.event("ready");
    assert.equal((await fetch(`${probes}/readyz`)).status, 200);
    assert.ok((await done("log", "show", "--json")).includes(`"peerKeySha256":"${publicKeySha256}"`));
    const status = (await (await fetch(`${probes}/status`)).json()) as Record<string, unknown>;
    const { state, platform, simulated, model, replica: id } = status;
    assert.deepEqual(
      { state, platform, simulated, id },
      { state: "ready", platform: "SIMULATED", simulated: true, id: "r1" },
    );
    assert.deepEqual(model, { name: "digits", version: 1, generation: 1 });
    const answer = JSON.parse(
      await done(
        ...["infer", "--address", `127.0.0.1:${ready["port"]}`, "--ca", "broker-state/ca.pem"],
        ...["--cert", "ssl_configure/client/alice/cert.pem", "--key", "ssl_configure/client/alice/key.pem"],
        ...["--server-name", SERVING_NAME, "--image", join(ROOT, "examples/digits/images/000.png"), "--json"],
      ),
    ) as Record<string, unknown>;
    assert.ok(JSON.stringify(answer).length > 2);
    assert.equal(await end(replica), 0);
    await end(broker);
  });

  test("ends with 1 and the broker's code where the policy does not know it", async () => {
    await writeManifest("other.json", "--threads", "2");
    await allow("other.json");
    const broker = await startBroker();
    const replica = startReplica();
    assert.ok(replica.stderr);
    const closed = once(replica, "close") as Promise<[number | null]>;
    const [[code], errors] = await Promise.all([closed, text(replica.stderr)]);
    assert.equal(code, 1);
    assert.match(errors, /^REPLICA_REFUSED: .*PROVISIONING_REFUSED.*MEASUREMENT_NOT_ALLOWED/);
    await end(broker);
  });

  test("stops at once on SIGTERM while it waits for a broker", async () => {
    const replica = startReplica();
    await logOf(replica).event("waiting");
    assert.equal(await end(replica), 0);
  });

  test("runs inside Gramine, whose files a stand-in plays, by measured settings alone", async (t) => {
    if (spawnSync("unshare", [...NAMESPACE, "mount", "-t", "tmpfs", "dev", "/dev"]).status !== 0) {
      t.skip("this machine lets nobody mount");
      return;
    }
    const { mrenclave } = await allow("enclave.json");
    const broker = await startBroker();
    const stateFile = at("simulated/platform.json");
    const { folder } = await startAttestationFolder(t, "gramine", { stateFile, mrenclave });
    const { config } = JSON.parse(await readFile(at("enclave.json"), "utf8")) as { config: unknown };
    const hostOptions = {
      replicaId: "enclave",
      brokerAddresses: [{ host: "127.0.0.1", port: brokerPort }],
      sealedDir: at("sealed/models/digits/1"),
      listen: { host: "127.0.0.1", port: 0 },
      health: { host: "127.0.0.1", port: 0 },
      waitForBrokerSeconds: 60,
    };
    const settings = { format: "cloister-replica/1", platform: "gramine", config, hostOptions };
    await writeFile(at("replica.json"), JSON.stringify(settings));
    const replica = startBehind(folder, at("replica.json"));
    const log = logOf(replica);
    const { platform, simulated } = await log.event("start");
    assert.deepEqual({ platform, simulated }, { platform: "gramine", simulated: false });
    await log.event("ready");
    assert.equal(await end(replica), 0);
    await end(broker);
  });

  test("does not run on hardware that is not there", async () => {
    const { code, stderr } = await session.run(
      cwd,
      ...["enclave", "run", "--manifest", "enclave.json", "--sealed", "sealed/models/digits/1"],
    );
    assert.equal(code, 1);
    assert.match(stderr, /^PLATFORM_NOT_FOUND: /);
  });

  function start(...args: readonly string[]): ChildProcess {
    const child = spawnCli(args, cwd);
    running.add(child);
    child.once("close", () => running.delete(child));
    return child;
  }

  /** Starts a replica in a mount namespace of its own, where that folder is Gramine's. */
  function startBehind(folder: string, settings: string): ChildProcess {
    const script =
      'mount -t tmpfs dev /dev && mkdir /dev/attestation && mount --bind "$0" /dev/attestation && exec "$@"';
    const entry = join(ROOT, "packages/enclave/src/replica/in-tee.ts");
    const child = spawn("unshare", [...NAMESPACE, "sh", "-c", script, folder, process.execPath, entry, settings], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    running.add(child);
    child.once("close", () => running.delete(child));
    return child;
  }

  async function done(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await session.run(cwd, ...args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  const writeManifest = (output: string, ...options: readonly string[]): Promise<string> =>
    done(
      ...["enclave", "manifest", "--model", "digits", "--output", output, ...options],
      ...["--broker", `attestation.service.com:${brokerPort}`],
      ...["--broker-ca", "broker-state/ca.pem", "--broker-log-key", "broker-state/log-key.pem"],
    );

  /** Lets the policy allow that manifest's replica, and no other. */
  async function allow(manifest: string): Promise<{ readonly mrenclave: string }> {
    const words = ["--manifest", manifest, "--policy", "policy.json", "--trust-anchor", "simulated/anchor.pem"];
    return JSON.parse(await done("enclave", "measure", ...words, "--json")) as { mrenclave: string };
  }

  const startReplica = (): ChildProcess =>
    start(
      ...["enclave", "run", "--platform", "simulated", "--simulated-platform", "simulated/platform.json"],
      ...["--manifest", "enclave.json", "--broker", "127.0.0.1:1", `127.0.0.1:${brokerPort}`, "--id", "r1"],
      ...["--sealed", "sealed/models/digits/1", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"],
    );

  async function startBroker(): Promise<ChildProcess> {
    const broker = start(
      ...["broker", "--passphrase-file", "passphrase", "--policy", "policy.json", "--host", "127.0.0.1"],
      ...["--port", String(brokerPort), "--health-port", "0", "--bundles", "sealed/bundles"],
      ...["--client-ca", "ssl_configure/ca_cert.pem"],
      ...["--owner-key", "keys/owner.pub.pem", "--collateral", "simulated/collateral.json"],
      ...["--simulated-anchor", "simulated/anchor.pem"],
    );
    await logOf(broker, "type").event("started");
    return broker;
  }
});

/** Reads a process's JSON lines. */
function logOf(child: ChildProcess, key = "event") {
  assert.ok(child.stdout);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    event: async (name: string): Promise<Record<string, string | number>> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`no ${name} before the end`);
        const entry = JSON.parse(value) as Record<string, string | number>;
        if (entry[key] === name) return entry;
      }
    },
  };
}

async function end(child: ChildProcess): Promise<number | null> {
  const closed = once(child, "close") as Promise<[number | null]>;
  child.stdout?.resume();
  child.kill("SIGTERM");
  return (await closed)[0];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
