// The broker as a pod of the cluster, as docs/how-to/kubernetes.md has it: authority, keys and log on a volume, the replicas beside it. The
// sealed model comes out of an object store.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { listPods } from "@cloister/deploy/cluster";
import { connectRig, type ConnectedRig } from "../rig/connected.ts";
import { NETWORK, programPath } from "../rig/layout.ts";
import {
  allow,
  BROKER_NAME,
  cli,
  equipRequester,
  type FolderCli,
  makeOwnerFolder,
  OWNER_FILES,
  TRUST_ANCHOR,
} from "../rig/owner.ts";
import { run, waitFor } from "../rig/process.ts";
import { receivedKeys, SLOW_MS } from "../rig/steps.ts";
import { SERVING_NAME, sharedFolder } from "../rig/world.ts";

const NAMESPACE = "with-broker";
const WHICH = { namespace: NAMESPACE, name: "serving" };
const BROKER_POD = "serving-broker-0";
const USER_ID = 65_532;
const NODE = "/usr/local/bin/node";
const MAIN = "/opt/cloister/packages/cli/src/main.ts";
const STATE = "/var/lib/cloister";

let rig: ConnectedRig;
let folder: string;
let own: FolderCli;
/** The volume with the broker's state, as this machine sees it. */
let stateFolder: string;
let platformFile: string;
let store: Server | undefined;

const at = (name: string): string => join(folder, name);
const kubectl = (...args: string[]): Promise<string> => rig.kubectl("-n", NAMESPACE, ...args);
const inBroker = (...args: string[]): Promise<string> => kubectl("exec", BROKER_POD, "--", NODE, ...args);
const cluster = (): string[] => ["--config", at("cloister.yaml"), "--kubeconfig", rig.kubeconfig, "--json"];
const apply = (...more: string[]): Promise<string> => cli("deploy", "apply", ...cluster(), ...more);

interface LoggedEntry {
  readonly index: number;
  readonly decision: string;
  readonly peerKeySha256: string;
}

/** The log as an auditor reads it, in the pod: it is verified before anything is shown. */
async function logEntries(): Promise<LoggedEntry[]> {
  const text = await inBroker(MAIN, "log", "show", "--last", "0", "--json", "--state-dir", STATE);
  return text.trim() === ""
    ? []
    : text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as LoggedEntry);
}

/** Throws unless this many replicas each name a key that they were admitted under, with its entry in the log. */
async function assertLogged(replicas: number): Promise<void> {
  const keys = await receivedKeys(rig.api, WHICH);
  assert.equal(new Set(keys).size, replicas);
  const entries = await logEntries();
  for (const key of keys) {
    assert.ok(
      entries.some(({ decision, peerKeySha256 }) => decision === "released" && peerKeySha256 === key),
      `the key ${key} was received without an entry in the log`,
    );
  }
}

/** What the broker is given beside its passphrase: policy, bundle and public keys. */
async function publish(verb: "create" | "replace"): Promise<void> {
  const files = {
    "policy.yaml": "policy.json",
    "bundle.json": OWNER_FILES.bundle,
    "owner.pub.pem": OWNER_FILES.ownerKey,
    "anchor.pem": TRUST_ANCHOR,
    "collateral.json": "collateral.json",
  };
  const sources = Object.entries(files).map(([key, file]) => `--from-file=${key}=${at(file)}`);
  const text = await kubectl("create", "configmap", "cloister-broker", ...sources, "--dry-run=client", "-o", "json");
  await writeFile(at("configmap.json"), text);
  await kubectl(verb, "-f", at("configmap.json"));
}

const brokerReady = (): Promise<string> => kubectl("rollout", "status", "statefulset/serving-broker", "--timeout=600s");
const publicFiles = async (): Promise<string[]> =>
  Promise.all(["ca.pem", "log-key.pem"].map((name) => inBroker("-p", `fs.readFileSync("${STATE}/${name}", "utf8")`)));

before(async () => {
  rig = await connectRig();
  folder = join(rig.folder, "owner-inside");
  const platform = createSimulatedPlatform({ now: new Date() });
  own = await makeOwnerFolder(folder, platform);
  platformFile = at("platform.json");
  await writeFile(platformFile, platform.save().reveal(), { mode: 0o600 });
  const url = await serveModel(at(OWNER_FILES.sealed));
  const kubernetes = {
    preset: "simulation",
    namespace: NAMESPACE,
    image: rig.image,
    model: { name: "digits", version: 1, size: "1Mi" },
    memory: "512Mi",
    cpu: "20m",
    drain: "2s",
    replicas: { minimum: 1, maximum: 2 },
    autoscaling: { kind: "none" },
    gateway: { kind: "none" },
    broker: { kind: "in-cluster", image: rig.image },
    modelDelivery: { kind: "object-store", url },
  };
  await writeFile(at("cloister.yaml"), JSON.stringify({ kubernetes }));
  await rig.kubectl("create", "namespace", NAMESPACE);
  await provideState();
  await kubectl("create", "secret", "generic", "cloister-broker", `--from-file=passphrase=${at("passphrase")}`);
  await publish("create");
});

/** An object store that gives out the sealed files. Gives the URL. */
async function serveModel(sealedFolder: string): Promise<string> {
  const tar = at("digits-1.tar");
  await run("tar", ["-cf", tar, "-C", join(sealedFolder, "digits/1"), "."]);
  store = createServer((_, response) => createReadStream(tar).pipe(response)).listen(0, NETWORK.controlPlane);
  await once(store, "listening");
  return `http://${NETWORK.controlPlane}:${(store.address() as { port: number }).port}/digits-1.tar`;
}

/** A volume of the kind whose group the kubelet sets, so that it is seen what that does to the broker's files. */
async function provideState(): Promise<void> {
  stateFolder = sharedFolder(rig, "broker-state");
  const nodes = [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-1", "node-2"] }];
  await rig.create({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: `${NAMESPACE}-state` },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      local: { path: stateFolder },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: nodes }] } },
      claimRef: { namespace: NAMESPACE, name: "serving-broker" },
    },
  });
}

after(() => void store?.close());

test("apply --broker-only brings up the broker alone, with an authority and a log of its own", async () => {
  const { changes } = JSON.parse(await apply("--broker-only")) as { changes: { object: string }[] };
  assert.ok(changes.every(({ object }) => !object.startsWith("Deployment ")));
  await brokerReady();
  const [authority = "", logKey = ""] = await publicFiles();
  assert.match(authority, /BEGIN CERTIFICATE/);
  await mkdir(at("broker-state"));
  await writeFile(at("broker-state/ca.pem"), authority);
  await writeFile(at("broker-state/log-key.pem"), logKey);
  assert.deepEqual(await logEntries(), []);
});

test("a replica finds it by its Service, is admitted, and has an entry in its log", async () => {
  const words = ["exec", "-i", BROKER_POD, "--", NODE, MAIN, "broker", "keys", "import", OWNER_FILES.model];
  const options = [
    "--from=/dev/stdin",
    `--state-dir=${STATE}`,
    "--passphrase-file=/run/cloister/passphrase/passphrase",
  ];
  execFileSync(programPath("kubectl"), ["--kubeconfig", rig.kubeconfig, "-n", NAMESPACE, ...words, ...options], {
    input: await readFile(at(OWNER_FILES.wrapKey)),
    env: { ...process.env, HOME: rig.folder },
  });
  const manifest = at("digits.manifest");
  const authority = ["--broker-ca", "broker-state/ca.pem", "--broker-log-key", "broker-state/log-key.pem"];
  await own(
    "enclave manifest",
    "--model",
    "digits",
    "--broker",
    `${BROKER_NAME}:4433`,
    ...authority,
    "--output",
    manifest,
  );
  await allow(folder, manifest, own);
  await publish("replace");
  const wanted = async () => ((await kubectl("logs", BROKER_POD)).includes('"type":"policy"') ? true : undefined);
  await waitFor("the broker to read the new policy", wanted, SLOW_MS);
  await apply("--enclave-manifest", manifest, "--simulated-platform", platformFile, "--force");
  const replica = (await listPods(rig.api, WHICH)).find(({ state }) => state === "READY");
  assert.ok(replica !== undefined);
  await own(
    "deploy verify",
    ...cluster(),
    "--address",
    `${replica.address}:8500`,
    "--server-name",
    SERVING_NAME,
    ...["--requester", await equipRequester(folder, at("broker-state"))],
  );
  await assertLogged(1);
});

test("a broker that was deleted comes back with the same authority, keys and log, and replicas serve on meanwhile", async () => {
  const uid = () => kubectl("get", "pod", BROKER_POD, "-o", "jsonpath={.metadata.uid}");
  const [before, first, files] = [await logEntries(), await uid(), await publicFiles()];
  const [serving] = await listPods(rig.api, WHICH);
  await kubectl("delete", "pod", BROKER_POD, "--wait=false");
  await waitFor("another broker", async () => ((await uid()) === first ? undefined : true), SLOW_MS);
  await brokerReady();
  assert.deepEqual(await publicFiles(), files);
  await cli("deploy", "scale", "2", ...cluster());
  const after = await logEntries();
  assert.deepEqual(after.slice(0, before.length), before);
  assert.ok(after.length > before.length);
  await assertLogged(2);
  const same = (await listPods(rig.api, WHICH)).find(({ name }) => name === serving?.name);
  assert.equal(same?.restarts, 0, "who was admitted before goes on");
});

test("no secret is in an object, a pod's log or, readable, on the volume; the passphrase is in the owner's own Secret alone", async () => {
  const secrets = [await readFile(at(OWNER_FILES.wrapKey)), await readFile(at("passphrase"))];
  const forms = secrets.flatMap((secret) => [
    secret,
    Buffer.from(secret.toString("hex")),
    Buffer.from(secret.toString("base64")),
  ]);
  const assertNone = (where: string, content: Buffer): void => {
    for (const form of forms) assert.ok(!content.includes(form), `a secret is in ${where}`);
  };
  const kinds =
    "configmaps,services,serviceaccounts,statefulsets,deployments,daemonsets,pods,persistentvolumeclaims,networkpolicies,events";
  assertNone("an object", Buffer.from(await kubectl("get", kinds, "-o", "json")));
  const found = JSON.parse(await kubectl("get", "secrets", "-o", "json")) as {
    items: { metadata: { name: string } }[];
  };
  assert.deepEqual(
    found.items.map(({ metadata }) => metadata.name),
    ["cloister-broker"],
  );
  const pods = (await kubectl("get", "pods", "-o", "name")).trim().split("\n");
  for (const pod of pods) assertNone(`the log of ${pod}`, Buffer.from(await kubectl("logs", pod)));
  for (const name of await readdir(stateFolder, { recursive: true })) {
    const path = join(stateFolder, name);
    const facts = await stat(path);
    if (!facts.isFile()) continue;
    assert.equal(facts.uid, USER_ID);
    assertNone(name, await readFile(path));
  }
});

test("delete takes broker, keys and log with it", async () => {
  await cli("deploy", "delete", ...cluster());
  assert.equal(await rig.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"), "");
});
