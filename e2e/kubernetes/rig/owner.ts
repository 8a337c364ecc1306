import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { encodeCollateral } from "@cloister/attestation";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";
import { encodeManifest, replicaManifest } from "@cloister/enclave";
import { parsePolicy, type Policy } from "@cloister/policy";
import type { LogEntry } from "@cloister/release-log";
import { verifyStoredLog } from "@cloister/broker/store";
import { ROOT } from "./images.ts";
import { NETWORK } from "./layout.ts";
import { run } from "./process.ts";

const MODEL = { name: "digits", version: 1 };
const WORKLOAD = `serve-${MODEL.name}`;
export const BROKER_NAME = NETWORK.outside;
export const BROKER_PORT = 4433;
/** The root of the simulated platform, in the owner's folder and in the requester's. */
export const TRUST_ANCHOR = "trust-anchor.pem";
/** What sealing leaves in the owner's folder; the model's own path is the id of its key too. */
export const OWNER_FILES = {
  model: `models/${MODEL.name}/${MODEL.version}`,
  sealed: "sealed/models",
  bundle: `sealed/bundles/${MODEL.name}/${MODEL.version}.json`,
  wrapKey: `keys/${MODEL.name}-${MODEL.version}.wrap-key`,
  ownerKey: "keys/owner.pub.pem",
} as const;
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

/** A command line of ours in one folder: the command's words, and its arguments. */
export type FolderCli = (command: string, ...args: string[]) => Promise<string>;

/** Makes an owner's folder: passphrase, a policy that allows nothing, the simulated platform's root, and the example sealed. */
export async function makeOwnerFolder(folder: string, platform: SimulatedPlatform): Promise<FolderCli> {
  const path = (name: string): string => join(folder, name);
  const own: FolderCli = (command, ...args) =>
    run(process.execPath, [MAIN, ...command.split(" "), ...args], {}, folder);
  await mkdir(folder, { recursive: true });
  await writeFile(path("passphrase"), randomBytes(32).toString("base64"), { mode: 0o600 });
  await writeFile(path("policy.json"), JSON.stringify({ schema: "cloister-policy/1", production: false }));
  await writeFile(path(TRUST_ANCHOR), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(path("collateral.json"), encodeCollateral(platform.collateral()));
  await own("model import", join(ROOT, "examples/digits/saved_model"), "--name", MODEL.name);
  await own("seal bundle", OWNER_FILES.model);
  return own;
}

/** Puts what a requester needs into a folder of its own. `stateFolder` has the broker's public files. */
export async function equipRequester(folder: string, stateFolder: string): Promise<string> {
  const requesterFolder = join(folder, "for-requester");
  await mkdir(requesterFolder, { recursive: true });
  const sources = ["policy.json", TRUST_ANCHOR, "collateral.json"].map((name) => join(folder, name));
  for (const source of [...sources, join(stateFolder, "ca.pem"), join(stateFolder, "log-key.pem")]) {
    await copyFile(source, join(requesterFolder, basename(source)));
  }
  return requesterFolder;
}

/** Does what docs/how-to/three-machines.md has the owner do, and starts the broker. */
export async function setUpOwner(folder: string, platform: SimulatedPlatform): Promise<OwnerMachine> {
  const path = (name: string): string => join(folder, name);
  const own = await makeOwnerFolder(folder, platform);
  await own("broker keys import", OWNER_FILES.model, "--from", OWNER_FILES.wrapKey, "--passphrase-file", "passphrase");
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

  const requesterFolder = await equipRequester(folder, path("broker-state"));
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
  const sealedFolder = path(OWNER_FILES.sealed);
  const { start: startBroker, stop: stopBroker } = broker;
  return { requesterFolder, manifestFile, sealedFolder, authority, policy, releases, startBroker, stopBroker };
}

/** Names the manifest's measurement in the policy. Requesters need no certificate of their own. */
export async function allow(folder: string, manifestFile: string, own: FolderCli): Promise<Policy> {
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
      ["owner-key", OWNER_FILES.ownerKey],
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
