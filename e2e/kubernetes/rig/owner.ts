import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { encodeCollateral } from "@cloister/attestation";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";
import { encodeManifest, replicaManifest } from "@cloister/enclave";
import { parsePolicy, type Policy } from "@cloister/policy";
import type { LogEntry } from "@cloister/release-log";
import { verifyStoredLog } from "@cloister/broker/store";
import { ROOT } from "./images.ts";
import { run } from "./process.ts";

const MODEL = { name: "digits", version: 1 };
const WORKLOAD = `serve-${MODEL.name}`;
const BROKER_NAME = "attestation.service.com";
export const BROKER_PORT = 4433;
/** The root of the simulated platform, in the owner's folder and in the requester's. */
const TRUST_ANCHOR = "trust-anchor.pem";
const MAIN = join(ROOT, "packages/cli/src/main.ts");

/** The owner's machine, with the broker as the process that it is in earnest: it can be stopped, killed and started anew. */
export interface OwnerMachine {
  /** What a requester needs to trust replicas. */
  readonly requesterFolder: string;
  readonly manifestFile: string;
  /** Folder of sealed models. */
  readonly sealedFolder: string;
  /** PEM of the authority that serving certificates are from. */
  readonly authority: string;
  readonly policy: Policy;
  /** Entries of the release log with a released key. The whole log is verified to get them. */
  readonly releases: () => Promise<LogEntry[]>;
  readonly startBroker: () => Promise<void>;
  readonly stopBroker: (signal?: "SIGTERM" | "SIGKILL") => Promise<void>;
}

export const cli = (...args: string[]): Promise<string> => run(process.execPath, [MAIN, ...args]);

/** Does what docs/how-to/three-machines.md has the owner do, and starts the broker. */
export async function setUpOwner(folder: string, platform: SimulatedPlatform): Promise<OwnerMachine> {
  const path = (name: string): string => join(folder, name);
  const own = (command: string, ...args: string[]): Promise<string> =>
    run(process.execPath, [MAIN, ...command.split(" "), ...args], {}, folder);
  const requesterFolder = path("for-requester");
  await mkdir(requesterFolder, { recursive: true });
  await writeFile(path("passphrase"), randomBytes(32).toString("base64"), { mode: 0o600 });
  await writeFile(path("policy.json"), JSON.stringify({ schema: "cloister-policy/1", production: false }));
  await writeFile(path(TRUST_ANCHOR), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(path("collateral.json"), encodeCollateral(platform.collateral()));
  const bundle = `${MODEL.name}/${MODEL.version}`;
  await own("model import", join(ROOT, "examples/digits/saved_model"), "--name", MODEL.name);
  await own("seal bundle", `models/${bundle}`);
  const wrapKey = `keys/${MODEL.name}-${MODEL.version}.wrap-key`;
  await own("broker keys import", `models/${bundle}`, "--from", wrapKey, "--passphrase-file", "passphrase");
  const broker = brokerProcess(folder);
  await broker.start();

  const authority = await readFile(path("broker-state/ca.pem"), "utf8");
  const logKey = createPublicKey(await readFile(path("broker-state/log-key.pem")));
  const manifest = await replicaManifest({
    installation: { root: ROOT, nodeExecutable: process.execPath },
    config: {
      model: MODEL,
      broker: {
        serverName: BROKER_NAME,
        caPem: authority,
        logKey: logKey.export({ type: "spki", format: "der" }).toString("base64"),
      },
      engineThreads: 1,
    },
  });
  const manifestFile = path("enclave-manifest.json");
  await writeFile(manifestFile, encodeManifest(manifest));
  const policy = await allow(folder, manifestFile, own);
  // The running broker looks at its policy once a second; started anew it has read it for certain.
  await broker.stop("SIGTERM");
  await broker.start();

  await writeFile(join(requesterFolder, "ca.pem"), authority);
  await writeFile(join(requesterFolder, "policy.json"), JSON.stringify(policy));
  for (const name of [TRUST_ANCHOR, "collateral.json", "broker-state/log-key.pem"]) {
    await writeFile(join(requesterFolder, name.replace(/^.*\//, "")), await readFile(path(name)));
  }
  const releases = async (): Promise<LogEntry[]> => {
    const released: LogEntry[] = [];
    await verifyStoredLog(
      { path: path("broker-state/broker.db") },
      {
        origin: `${BROKER_NAME}/release-log`,
        publicKey: logKey,
        onEntry: (entry) => void (entry.decision === "released" && released.push(entry)),
      },
    );
    return released;
  };
  const sealedFolder = path("sealed/models");
  const { start: startBroker, stop: stopBroker } = broker;
  return { requesterFolder, manifestFile, sealedFolder, authority, policy, releases, startBroker, stopBroker };
}

/** Names the manifest's measurement in the policy. Requesters need no certificate of their own. */
async function allow(
  folder: string,
  manifestFile: string,
  own: (command: string, ...args: string[]) => Promise<string>,
): Promise<Policy> {
  const file = join(folder, "policy.json");
  await own("enclave measure", "--manifest", manifestFile, "--policy", file, "--trust-anchor", TRUST_ANCHOR);
  const written = JSON.parse(await readFile(file, "utf8")) as {
    workloads: { name: string; secrets: { serving: object } }[];
  };
  for (const { name, secrets } of written.workloads) {
    if (name === WORKLOAD) secrets.serving = { ...secrets.serving, clientVerify: false };
  }
  await writeFile(file, JSON.stringify(written));
  return parsePolicy(written);
}

/** `cloister broker` over the owner's files. */
function brokerProcess(folder: string) {
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const options = [
      ["host", "0.0.0.0"],
      ["port", String(BROKER_PORT)],
      ["name", BROKER_NAME],
      ["passphrase-file", "passphrase"],
      ["policy", "policy.json"],
      ["bundles", "sealed/bundles"],
      ["owner-key", "keys/owner.pub.pem"],
      ["collateral", "collateral.json"],
      ["simulated-anchor", TRUST_ANCHOR],
      ["grace-seconds", "1"],
    ];
    const flags = options.flatMap(([name = "", value = ""]) => [`--${name}`, value]);
    const started = spawn(process.execPath, [MAIN, "broker", ...flags], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    child = started;
    for await (const line of createInterface(started.stdout)) {
      if ((JSON.parse(line) as { type: string }).type !== "started") continue;
      // Nobody reads on, and a full pipe must not stop it.
      started.stdout.resume();
      return;
    }
    throw new Error("the broker ended before it was ready; what it said is above");
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const closed = once(running, "close");
    running.kill(signal);
    await closed;
  };
  return { start, stop };
}
