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
import { parse } from "yaml";
import { startSession } from "../../packages/cli/src/testing/session.ts";
import { ROOT } from "../support/chain.ts";
import { startDocker, type TestDocker } from "../support/docker.ts";
import { startGramineDevice } from "../support/gramine-device/start.ts";
import { MIRROR_VERSIONS, writePackageMirror } from "../support/package-mirror.ts";

// Needs root, FUSE, and Debian's docker.io, docker-compose, debootstrap, dpkg-dev and gpg; without them it fails.

const ROLES = ["serving", "broker", "gateway", "client"] as const;
const GRAMINE_ROLES = ["replica-gramine", "serving-gramine"] as const;
const USER = 65_532;
const SERVING_NAME = "grpc.tf-serving.service.com";
const WAIT_MS = 180_000;

describe("container images", () => {
  const session = startSession();
  let docker: TestDocker;
  let folder: string;
  let keyrings: ReadonlyMap<string, Buffer>;
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
    assert.ok(archive.equals(await readFile(at("serving.tar"))), "two folders, the same image");
    // What goes into the image under Gramine is staged: built packages, by the same allow-list.
    const staged = await Promise.all([stageBuilt(source, at("staged")), stageBuilt(ROOT, at(PROGRAM))]);
    assert.equal(staged[0], staged[1], "two folders, the same built program");
    for (const secret of secrets) {
      await assert.rejects(promisify(execFile)("grep", ["-rqF", secret, at("staged")]), { code: 1 }, secret);
    }
  });

  test("are built by Docker from a local base, as a user that is not root", async () => {
    await promisify(execFile)("debootstrap", ["--variant=minbase", "--include=libstdc++6", "bookworm", at("base")]);
    // The base has the package sources that the images under Gramine install from, and no other.
    keyrings = await writePackageMirror(at("base/mirror"), at("packages"));
    await rm(at("base/etc/apt/sources.list"));
    await promisify(execFile)("tar", ["-C", at("base"), "-cf", at("base.tar"), "."]);
    await docker.docker("import", at("base.tar"), "base:local");
    await cloister("enclave", "image", "render", "--output", "build");
    await cloister("enclave", "image", "stage", "--base", "--role", "client", "--output", "build/client");
    const file = at("build/client.Dockerfile");
    await docker.docker("build", "--build-arg", "BASE_IMAGE=base:local", "-f", file, "-t", "client:local", at("build"));
    assert.equal((await docker.docker("run", "--rm", "--entrypoint", "id", "client:local", "-u")).trim(), String(USER));
    assert.match(await docker.docker("run", "--rm", ...CONFINED, "client:local", "--help"), /infer/);
  });

  test("install Gramine and the servers from signed package sources, and refuse another signature", async () => {
    for (const folder of ["replica-gramine", "serving-gramine", "aesm"]) {
      await mkdir(at("build", folder, "keys"), { recursive: true });
      for (const [name, keyring] of keyrings) await writeFile(at("build", folder, "keys", name), keyring);
      const wrong = folder === "aesm" ? "intel-sgx.gpg" : "gramine.gpg";
      await writeFile(at("build", folder, "keys", wrong), keyrings.get("tensorflow-serving.gpg") ?? "");
      const file = folder === "aesm" ? "aesm.Dockerfile" : `${folder}-runtime.Dockerfile`;
      const tag = file.replace(".Dockerfile", ":local");
      await assert.rejects(dockerBuild(file, tag), (error: { stderr?: string; stdout?: string }) =>
        /NO_PUBKEY|not signed/.test(`${error.stdout}${error.stderr}`),
      );
      await writeFile(at("build", folder, "keys", wrong), keyrings.get(wrong) ?? "");
      await dockerBuild(file, tag);
      // A proxy is there while an image is built, and leaves nothing in it.
      for (const words of [["inspect"], ["history", "--no-trunc"]])
        assert.ok(!(await docker.docker(...words, tag)).includes(PROXY), `${words[0]} ${tag}`);
    }
    assert.match(await docker.docker("run", "--rm", ...CONFINED.slice(1), "aesm:local"), /of the test --no-daemon/);
  });

  test("hold a server under Gramine as it was measured and signed, and nothing that signs", async () => {
    await mkdir(at("owner"));
    await cloister(
      ...["broker", "init", "--passphrase-file", "owner/passphrase", "--state-dir", "owner/state"],
      ...["--policy", "owner/policy.yaml"],
    );
    await promisify(execFile)("openssl", ["genrsa", "-3", "-out", at("enclave-key.pem"), "3072"]);
    for (const role of GRAMINE_ROLES) {
      const first = await gramineImage(role, "owner/state");
      const second = await gramineImage(role, "owner/state");
      assert.deepEqual(first, second, "two builds, the same image and measurement");
      const listed = ["run", "--rm", "--entrypoint", "ls", `${role}:local`, "/var/lib/cloister"];
      const own = role === "replica-gramine" ? "replica.json" : "ca.pem";
      assert.deepEqual(
        (await docker.docker(...listed)).trim().split("\n").toSorted(),
        [own, "cloister.manifest.sgx", "cloister.sig"].toSorted(),
      );
    }
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
    await mergeOverrides();
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
      const fromGramine = JSON.parse(await answerUnderGramine(compose)) as Answer;
      assert.equal(fromGramine.outputs["predict"]?.top[0]?.[0]?.index, 8);
    } catch (error) {
      process.stderr.write(await compose("logs", "--no-color").catch(() => "no logs"));
      throw error;
    } finally {
      await compose("down", "-v", "--timeout", "5");
    }
  });

  const inferWords = (host = SERVING_NAME): readonly string[] => [
    ...["infer", "--address", `${host}:8500`, "--server-name", SERVING_NAME, "--model", "digits"],
    ...[
      "--ca",
      "/requester/ca.pem",
      "--cert",
      "/requester/cert.pem",
      "--key",
      "/requester/key.pem",
      "--image",
      "/requester/000.png",
      "--json",
    ],
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

  const dockerBuild = (file: string, tag: string, base = "base:local"): Promise<string> => {
    const values = { https_proxy: PROXY, BASE_IMAGE: base, DISTRIBUTION: "bookworm", ...MIRROR, ...MIRROR_VERSIONS };
    const known = Object.entries(values).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
    return docker.docker("build", "--no-cache", ...known, "-f", at("build", file), "-t", tag, at("build"));
  };

  /** The built packages of an installation, staged for the image under Gramine; gives the digest of all of it, times included. */
  async function stageBuilt(root: string, output: string): Promise<string> {
    await promisify(execFile)("npm", ["run", "--silent", "build"], { cwd: root });
    const main = join(root, "packages/cli/src/main.ts");
    const words = ["enclave", "image", "stage", "--base", "--built", "--role", "serving", "--output", output];
    await promisify(execFile)(process.execPath, [main, ...words]);
    const tar = `tar --sort=name --owner=0 --group=0 --numeric-owner -C "$0" -cf - . | sha256sum`;
    return (await promisify(execFile)("sh", ["-c", tar, output])).stdout;
  }

  /**
   * As docs/how-to/build-images.md: the manifest is made in the runtime's image, measured and signed outside of it, and goes above it. Gives
   * measurement, layers of Docker's image and digest of our own. A signing key lies beside what goes in.
   */
  async function gramineImage(role: (typeof GRAMINE_ROLES)[number], state: string) {
    const enclave = `enclave-${role}`;
    for (const made of [enclave, `build/${role}/files`]) await rm(at(made), { recursive: true, force: true });
    const inside = (...words: readonly string[]) =>
      docker.docker(
        ...["run", "--rm", "--network", "none", "-v", `${folder}:/work`, "-w", "/work"],
        ...["-v", `${at(PROGRAM, "opt/cloister")}:/opt/cloister:ro`],
        ...["-v", `${at(PROGRAM, "usr/local/bin/node")}:/usr/local/bin/node:ro`, "--entrypoint", ...words],
      );
    await inside(
      ...["/usr/local/bin/node", `${role}-runtime:local`, "/opt/cloister/node_modules/@cloister/cli/src/main.js"],
      ...["enclave", "manifest", "--platform", "gramine", "--model", "digits", "--model-bytes", "1000000"],
      ...["--runtime", role === "replica-gramine" ? "cloister" : "tensorflow-serving", "--output", enclave],
      ...["--broker", "attestation.service.com:4433", "--broker-ca", `${state}/ca.pem`],
      ...(role === "replica-gramine"
        ? ["--broker-log-key", `${state}/log-key.pem`, "--installation", "/opt/cloister"]
        : []),
    );
    await inside("cp", `${role}-runtime:local`, "/usr/lib/x86_64-linux-gnu/gramine/sgx/libpal.so", "libpal.so");
    await cp(at("enclave-key.pem"), at(enclave, "enclave-key.pem"));
    const manifest = ["--manifest", `${enclave}/cloister.manifest.sgx`, "--libpal", "libpal.so"];
    await cloister("enclave", "lint", `${enclave}/cloister.manifest.sgx`);
    await cloister(
      ...["enclave", "sign", ...manifest, "--key", "enclave-key.pem", "--date", "2026-01-01"],
      ...["--output", `${enclave}/cloister.sig`],
    );
    const { mrenclave } = JSON.parse(await cloister("enclave", "measure", ...manifest, "--json")) as {
      mrenclave: string;
    };
    await cloister(
      ...["enclave", "image", "stage", "--role", role, "--enclave", enclave, "--output", `build/${role}/files`],
    );
    await dockerBuild(`${role}.Dockerfile`, `${role}:local`, `${role}-runtime:local`);
    const layers = await docker.docker("inspect", "--format", "{{json .RootFS.Layers}}", `${role}:local`);
    const built = await cloister(
      ...["enclave", "image", "build", "--role", role, "--base", "base.tar", "--enclave", enclave],
      ...["--output", "gramine.tar", "--json"],
    );
    return { mrenclave, layers, digest: (JSON.parse(built) as { digest: string }).digest };
  }

  /**
   * A replica in its image under Gramine joins the chain. Gramine's loader and /dev/attestation are stand-ins, its quotes SIMULATED; what
   * it runs is what the manifest fixes.
   */
  async function answerUnderGramine(compose: (...args: readonly string[]) => Promise<string>): Promise<string> {
    const { mrenclave } = await gramineImage("replica-gramine", "chain/owner/state");
    const enclave = "enclave-replica-gramine";
    await cloister(
      ...["enclave", "measure", "--manifest", `${enclave}/cloister.manifest.sgx`, "--libpal", "libpal.so", "--keep"],
      ...["--policy", "chain/owner/broker/policy.yaml", "--model", "digits"],
    );
    await chown(at("chain/owner/broker/policy.yaml"), USER, USER);
    await writeFile(at("mrenclave"), mrenclave);
    await mkdir(at("attestation"));
    const device = await startGramineDevice({
      ...{ folder: at("attestation"), platform: at("simulated/platform.json"), mrenclave: at("mrenclave"), keys: [] },
      enter: docker.enter,
    });
    try {
      await docker.docker(
        ...["run", "-d", "--name", "replica-gramine", "--network", "chain_default", ...CONFINED],
        // Until the broker has read the policy again.
        ...["--restart", "on-failure", "-v", `${at("attestation")}:/dev/attestation`],
        ...["-v", `${at(enclave, "replica.json")}:/etc/cloister/replica.json:ro`],
        ...["-v", `${at("chain/host/sealed")}:/sealed/models/digits/1:ro`, "replica-gramine:local"],
      );
      const answer = await waitFor(() => compose("run", "--rm", "client", ...inferWords("replica-gramine")));
      const log = await docker.docker("logs", "replica-gramine");
      assert.match(log, /"platform":"gramine".*"event":"ready"|"event":"ready".*"platform":"gramine"/);
      return answer;
    } catch (error) {
      process.stderr.write(await docker.docker("logs", "replica-gramine").catch(() => "no logs"));
      throw error;
    } finally {
      await docker.docker("rm", "-f", "replica-gramine");
      await device.stop();
    }
  }

  /** Compose itself reads the overrides for a host with SGX. */
  async function mergeOverrides(): Promise<void> {
    await writeFile(at("chain/.env"), "SGX_PRV_GID=997\n");
    for (const [name, image] of [
      ["compose.sgx.yaml", "serving-gramine"],
      ["compose.sgx-replica.yaml", "replica-gramine"],
    ] as const) {
      const files = ["compose.yaml", name, "compose.aesm.yaml"].flatMap((file) => ["-f", file]);
      const merged = parse(await docker.compose(at("chain"), ...files, "config")) as { services: Services };
      const { volumes, ...replica } = merged.services["replica-1"] ?? {};
      assert.equal(replica.image, `cloister/${image}:latest`);
      assert.deepEqual(replica.group_add, ["997"]);
      assert.equal(replica.devices?.length, 2);
      const sockets = volumes?.filter((volume) => volume.includes(":/var/run/aesmd")) ?? [];
      assert.deepEqual(sockets, ["aesmd:/var/run/aesmd:rw"]);
    }
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

/** What the image under Gramine is built from, as `enclave image stage --built` lays it out. */
const PROGRAM = "build/replica-gramine/program";
const PROXY = "http://proxy.example.com:3128";
const MIRROR = {
  INTEL_SGX_REPOSITORY: "file:/mirror/intel-sgx",
  GRAMINE_REPOSITORY: "file:/mirror/gramine",
  TENSORFLOW_SERVING_REPOSITORY: "file:/mirror/tensorflow-serving",
};
/** What `docker-compose config` prints, as far as it is looked at here. */
interface Service {
  readonly image?: string;
  readonly devices?: readonly string[];
  readonly group_add?: readonly string[];
  readonly volumes?: readonly string[];
}
type Services = Readonly<Record<string, Service>>;
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
