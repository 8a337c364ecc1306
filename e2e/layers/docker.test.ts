import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chown, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readTar } from "@cloister/encoding/tar";
import { startSession } from "../../packages/cli/src/testing/session.ts";
import { ROOT } from "../support/chain.ts";
import { startDocker, type TestDocker } from "../support/docker.ts";

// Needs root, Debian's docker.io, docker-compose and debootstrap; without them it fails.

const ROLES = ["serving", "broker", "gateway", "client"] as const;
const USER = 65_532;
const SERVING_NAME = "grpc.tf-serving.service.com";
const WAIT_MS = 180_000;

describe("container images", () => {
  const session = startSession();
  let docker: TestDocker;
  let folder: string;
  const at = (...names: string[]): string => join(folder, ...names);
  const cloister = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await session.run(folder, ...args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cloister-images-"));
    docker = await startDocker();
  });
  after(async () => {
    session.close();
    await docker.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("hold no secret that lies in the folder they are built in, in any layer", async () => {
    const secrets = ["a-passphrase-of-the-owner", "0123456789abcdef-wrap-key"];
    const source = at("source");
    await copyTree(source);
    await mkdir(join(source, ".cloister"));
    await writeFile(join(source, ".cloister/passphrase"), secrets[0] ?? "");
    await writeFile(join(source, "packages/enclave/wrap.key"), secrets[1] ?? "");
    await writeFile(join(source, "packages/cli/src/.env"), secrets[0] ?? "");
    await buildIn(source, "serving", at("planted.tar"));
    const archive = await readFile(at("planted.tar"));
    for (const secret of secrets) assert.ok(!archive.includes(secret), secret);
    const layers = [...readTar(archive)].filter(
      ({ content }) => content.length > 4096 && Buffer.from("ustar").equals(content.subarray(257, 262)),
    );
    assert.ok(layers.length > 0);
    for (const { path, content } of layers.flatMap((layer) => Array.from(readTar(layer.content)))) {
      if (/\.(?:ts|js|json)$/.test(path)) {
        assert.doesNotMatch(Buffer.from(content).toString(), /PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}/, path);
      }
    }
    await buildIn(ROOT, "serving", at("serving.tar"));
    assert.deepEqual(archive, await readFile(at("serving.tar")), "two folders, the same image");
  });

  test("are built by Docker from a local base, as a user that is not root", async () => {
    await promisify(execFile)("debootstrap", ["--variant=minbase", "--include=libstdc++6", "bookworm", at("base")]);
    await promisify(execFile)("tar", ["-C", at("base"), "-cf", at("base.tar"), "."]);
    await docker.docker("import", at("base.tar"), "base:local");
    await cloister("enclave", "image", "render", "--output", "build");
    await cloister("enclave", "image", "stage", "--base", "--role", "client", "--output", "build/client");
    const file = at("build/client.Dockerfile");
    await docker.docker("build", "--build-arg", "BASE_IMAGE=base:local", "-f", file, "-t", "client:local", at("build"));
    assert.equal((await docker.docker("run", "--rm", "--entrypoint", "id", "client:local", "-u")).trim(), String(USER));
    assert.match(await docker.docker("run", "--rm", ...CONFINED, "client:local", "--help"), /infer/);
    // The image for the unmodified server on a base without Gramine, whose packages are in no registry: its own layer is the same.
    for (const name of ["cloister.manifest.sgx", "cloister.sig", "ca.pem", "enclave-key.pem"]) {
      await mkdir(at("build/serving-gramine/enclave"), { recursive: true });
      await writeFile(at(`build/serving-gramine/enclave/${name}`), name);
    }
    const gramine = ["--build-arg", "BASE_IMAGE=base:local", "-f", at("build/serving-gramine.Dockerfile")];
    await docker.docker("build", ...gramine, "-t", "serving-gramine:local", at("build"));
    const listed = ["run", "--rm", "--entrypoint", "ls", "serving-gramine:local", "/var/lib/cloister"];
    assert.deepEqual((await docker.docker(...listed)).trim().split("\n"), [
      "ca.pem",
      "cloister.manifest.sgx",
      "cloister.sig",
    ]);
  });

  test("run the chain of the compose file: SIMULATED, broker, two replicas, gateway, client", async () => {
    for (const role of ROLES) {
      await cloister("enclave", "image", "build", "--role", role, "--output", `${role}.tar`);
      await docker.docker("load", "-i", at(`${role}.tar`));
    }
    await cloister("enclave", "image", "render", "--output", "chain");
    await prepareOwner();
    const compose = (...args: readonly string[]): Promise<string> =>
      docker.compose(at("chain"), "-p", "chain", ...args);
    try {
      await prepareHost();
      await compose("up", "-d");
      const answer = JSON.parse(await waitFor(() => compose("run", "--rm", "client", ...inferWords()))) as Answer;
      assert.equal(answer.outputs["predict"]?.top[0]?.[0]?.index, 8);
      // The first answer comes as soon as one replica is ready; each is attested on its own.
      await waitFor(async () => {
        const log = await compose("logs", "--no-color", "broker");
        assert.equal(log.match(/"type":"release"/g)?.length, 2);
      });
      const key = await readFile(at("keys/digits-1.wrap-key"));
      assert.equal(await provisionAsStock(compose), createHash("sha256").update(key).digest("hex"));
    } catch (error) {
      process.stderr.write(await compose("logs", "--no-color").catch(() => "no logs"));
      throw error;
    } finally {
      await compose("down", "-v", "--timeout", "5");
    }
  });

  const inferWords = (): readonly string[] => [
    ...["infer", "--address", `${SERVING_NAME}:8500`, "--model", "digits", "--ca", "/requester/ca.pem"],
    ...["--cert", "/requester/cert.pem", "--key", "/requester/key.pem", "--image", "/requester/000.png", "--json"],
  ];

  /** What Gramine's own library would ask of the broker in its container; gives the SHA-256 of the key. */
  async function provisionAsStock(compose: (...args: readonly string[]) => Promise<string>): Promise<string> {
    const container = (await compose("ps", "-q", "broker")).trim();
    const addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    const address = (await docker.docker("inspect", "--format", addresses, container)).trim();
    const measured = await cloister("enclave", "measure", "--manifest", "chain/host/enclave.json", "--json");
    const { mrenclave } = JSON.parse(measured) as { mrenclave: string };
    const files = [at("chain/owner/state/ca.pem"), at("simulated/platform.json")];
    const client = join(ROOT, "e2e/support/stock-provision.ts");
    const words = [address, "4433", "attestation.service.com", ...files, mrenclave];
    return (await docker.inNetwork(process.execPath, client, ...words)).trim();
  }

  /** What the owner does on a machine of its own. */
  async function prepareOwner(): Promise<void> {
    await cloister("enclave", "simulate", "--output", "simulated");
    await cloister(
      ...["broker", "init", "--passphrase-file", "passphrase", "--policy", "policy.yaml"],
      ...["--simulated-anchor", "simulated/anchor.pem"],
    );
    await cloister("certs", "mutual", SERVING_NAME, "--client", "alice");
    await cloister("seal", "bundle", join(ROOT, "examples/digits/saved_model"), "--name", "digits");
    await cloister(
      ...["broker", "keys", "import", "models/digits/1", "--from", "keys/digits-1.wrap-key"],
      ...["--passphrase-file", "passphrase"],
    );
    const copies: readonly (readonly [string, string])[] = [
      ["passphrase", "owner/broker/passphrase"],
      ["policy.yaml", "owner/broker/policy.yaml"],
      ["sealed/bundles", "owner/broker/bundles"],
      ["keys/owner.pub.pem", "owner/broker/owner.pub.pem"],
      ["ssl_configure/ca_cert.pem", "owner/broker/client-ca.pem"],
      ["ssl_configure/client/alice/cert.pem", "requester/cert.pem"],
      ["ssl_configure/client/alice/key.pem", "requester/key.pem"],
      ["broker-state", "owner/state"],
      ["broker-state/ca.pem", "requester/ca.pem"],
      ["simulated/anchor.pem", "simulated/trust/anchor.pem"],
      ["simulated/collateral.json", "simulated/trust/collateral.json"],
      ["simulated/platform.json", "simulated/platform/platform.json"],
      ["sealed/models/digits/1", "host/sealed"],
      [join(ROOT, "examples/digits/images/000.png"), "requester/000.png"],
    ];
    for (const [from, to] of copies)
      await cp(from.startsWith("/") ? from : at(from), at("chain", to), { recursive: true });
    await promisify(execFile)("chown", ["-R", `${USER}:${USER}`, at("chain")]);
  }

  /** What runs on the host is fixed, and its measurement goes into the broker's policy. */
  async function prepareHost(): Promise<void> {
    const state = at("chain/owner/state");
    await cloister(
      ...["enclave", "manifest", "--model", "digits", "--output", "chain/host/enclave.json"],
      ...["--broker", "attestation.service.com:4433"],
      ...["--broker-ca", join(state, "ca.pem"), "--broker-log-key", join(state, "log-key.pem")],
    );
    await cloister(
      ...["enclave", "measure", "--manifest", "chain/host/enclave.json", "--policy", "chain/owner/broker/policy.yaml"],
      ...["--trust-anchor", "simulated/anchor.pem"],
    );
    for (const file of ["host/enclave.json", "owner/broker/policy.yaml"]) await chown(at("chain", file), USER, USER);
  }
});

/** What `cloister infer --json` prints, as far as it is looked at here. */
interface Answer {
  readonly outputs: Readonly<Record<string, { readonly top: readonly (readonly { readonly index: number }[])[] }>>;
}

const CONFINED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];

/** Builds an image with the program in a folder, as a user of that folder would. */
async function buildIn(root: string, role: string, output: string): Promise<void> {
  const main = join(root, "packages/cli/src/main.ts");
  await promisify(execFile)(process.execPath, [main, "enclave", "image", "build", "--role", role, "--output", output]);
}

/** A second clean folder: what git knows of this one, and the same dependencies. */
async function copyTree(target: string): Promise<void> {
  await promisify(execFile)("git", ["clone", "-q", ROOT, target]);
  await promisify(execFile)("cp", ["-a", join(ROOT, "node_modules"), target]);
}

async function waitFor<Value>(attempt: () => Promise<Value>): Promise<Value> {
  for (const endsAt = Date.now() + WAIT_MS; ; await sleep(500)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > endsAt) throw error;
    }
  }
}
