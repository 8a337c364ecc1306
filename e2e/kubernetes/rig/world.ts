import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import {
  type Address,
  type ChannelOptions,
  createAttestor,
  createChannel,
  generateLoad,
  type LoadReport,
  PredictClient,
  predictFrame,
} from "@cloister/client";
import { importStep, loadSamples } from "@cloister/deploy/chain-parts";
import { listPods } from "@cloister/deploy/cluster";
import { type Backend, openGateway } from "@cloister/deploy/gateway";
import { OnnxEngine } from "@cloister/model-server/engine";
import type { ConnectedRig } from "./connected.ts";
import { ROOT } from "./images.ts";
import { NETWORK } from "./layout.ts";
import { BROKER_PORT, cli, type OwnerMachine, setUpOwner } from "./owner.ts";

export const SERVING_NAME = "grpc.tf-serving.service.com";
export const NAMESPACE = "cloister";
const SERVING_PORT = 8500;
const SHARED_MODELS = "shared-models";
const GATEWAY_PERIOD_MS = 250;

/** What a load was like, and when each replica answered first. */
interface Load extends LoadReport {
  readonly firstAnswers: ReadonlyMap<string, number>;
}

/** What goes on under load. It is told, as it happens, when each replica answered first. */
type Work = (firstAnswers: ReadonlyMap<string, number>) => Promise<void>;

/** Owner, host and requester around the cluster: the broker and the gateway are in the control plane's network, outside of the nodes. */
export interface World {
  readonly owner: OwnerMachine;
  readonly configFile: string;
  readonly platformFile: string;
  /** Folder with the sealed models, as nodes see it. */
  readonly modelsFolder: string;
  readonly gateway: { readonly host: string; readonly port: number };
  /** Backends beside the replicas: an impostor. */
  readonly setIntruders: (backends: readonly Backend[]) => void;
  /** Requests until `work` is done, over attested connections through the gateway, or to these addresses. */
  readonly underLoad: (concurrency: number, work: Work, addresses?: readonly Address[]) => Promise<Load>;
  /** Writes the configuration with these changes. */
  readonly configure: (changes: object) => void;
  readonly cli: (...args: string[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function startWorld(rig: ConnectedRig): Promise<World> {
  const folder = join(rig.folder, "world");
  mkdirSync(folder);
  const platform = createSimulatedPlatform({ now: new Date() });
  const platformFile = join(folder, "platform.json");
  const state = platform.save();
  writeFileSync(platformFile, state.reveal(), { mode: 0o600 });
  const owner = await setUpOwner(join(folder, "owner"), platform);
  await rig.kubectl("create", "namespace", NAMESPACE);
  await provideModels(rig, owner.sealedFolder);

  const gateway = await openGateway("nginx", { host: NETWORK.controlPlane, port: 0, runDir: join(folder, "gateway") });
  let intruders: readonly Backend[] = [];
  const following = new AbortController();
  const followed = followPods(rig, following.signal, async (backends) =>
    gateway.setRoutes([{ serverName: "*", backends: [...backends, ...intruders] }]),
  );

  const configFile = join(folder, "cloister.yaml");
  const configure = (changes: object): void => {
    const kubernetes = {
      preset: "simulation",
      namespace: NAMESPACE,
      createNamespace: true,
      image: rig.image,
      imagePullPolicy: "IfNotPresent",
      model: { name: "digits", version: 1, size: "1Mi" },
      memory: "512Mi",
      cpu: "20m",
      drain: "4s",
      maxConnectionAge: "10s",
      replicas: { minimum: 1, maximum: 12 },
      autoscaling: { kind: "none" },
      broker: { kind: "host-alias", host: "attestation.service.com", port: BROKER_PORT, ip: NETWORK.controlPlane },
      gateway: { kind: "nginx", hostname: SERVING_NAME },
      ...changes,
    };
    writeFileSync(configFile, JSON.stringify({ kubernetes }));
  };
  configure({});
  const channel = ([address = gateway.address, ...moreAddresses]: readonly Address[] = []): ChannelOptions => ({
    address,
    moreAddresses,
    tls: { ca: owner.authority, serverName: SERVING_NAME },
    connections: 8,
    maxConnectionAgeMs: 3000,
    attestation: createAttestor({
      anchors: [platform.trustAnchor],
      policy: owner.policy,
      collateral: () => Promise.resolve(platform.collateral()),
    }),
  });
  const samples = await prepareFrames(folder);
  return {
    owner,
    configFile,
    platformFile,
    modelsFolder: join(rig.folder, SHARED_MODELS),
    gateway: gateway.address,
    setIntruders: (backends) => (intruders = backends),
    underLoad: (concurrency, work, addresses) => runUnderLoad(channel(addresses), samples, concurrency, work),
    configure,
    cli,
    close: async () => {
      following.abort();
      await followed;
      await gateway.close();
      await owner.stopBroker();
    },
  };
}

/** Requests with the answers that TensorFlow gave. */
async function prepareFrames(folder: string) {
  const path = join(ROOT, "examples/digits/saved_model");
  const { result: model } = await importStep({ path, name: "digits", version: 1, modelsDir: join(folder, "models") });
  const servable = await new OnnxEngine({ threads: 1 }).load(model.files);
  const signature = servable.signatures.get("serving_default");
  if (signature === undefined) throw new Error("the example has no signature");
  const samples = await loadSamples(model.samplesFolder, signature);
  await servable.close();
  return samples.map(({ inputs, golden }) => ({
    frame: predictFrame({ model: model.name, inputs }),
    golden: golden ?? [],
  }));
}

/** The sealed files as a volume that every node has: both nodes see this machine's disk. */
async function provideModels(rig: ConnectedRig, source: string): Promise<void> {
  const shared = join(rig.folder, SHARED_MODELS);
  cpSync(source, shared, { recursive: true });
  chmodSync(rig.folder, 0o755);
  for (const entry of readdirSync(shared, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  chmodSync(shared, 0o755);
  const volume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "sealed-models" },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadOnlyMany"],
      storageClassName: "",
      hostPath: { path: shared, type: "Directory" },
      claimRef: { namespace: NAMESPACE, name: "sealed-models" },
    },
  };
  const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "sealed-models", namespace: NAMESPACE },
    spec: {
      accessModes: ["ReadOnlyMany"],
      storageClassName: "",
      volumeName: "sealed-models",
      resources: { requests: { storage: "1Gi" } },
    },
  };
  const file = join(rig.folder, "models.json");
  writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: [volume, claim] }));
  await rig.kubectl("apply", "-f", file);
  rmSync(file);
}

/** As a gateway's controller does: those pods that are ready, and not on their way out, are the backends. */
async function followPods(
  rig: ConnectedRig,
  signal: AbortSignal,
  publish: (backends: Backend[]) => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const pods = await listPods(rig.api, { namespace: NAMESPACE, name: "serving" }).catch(() => undefined);
    if (pods !== undefined) {
      const ready = pods.filter(({ state }) => state === "READY");
      const backends = ready.map(({ name, address }) => ({ id: name, host: address, port: SERVING_PORT }));
      await publish(backends);
    }
    await sleep(GATEWAY_PERIOD_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function runUnderLoad(
  options: ChannelOptions,
  samples: readonly { readonly frame: Uint8Array; readonly golden: readonly number[] }[],
  concurrency: number,
  work: Work,
): Promise<Load> {
  const channel = createChannel(options);
  const client = new PredictClient(channel);
  const ended = new AbortController();
  const firstAnswers = new Map<string, number>();
  const load = generateLoad(
    async (index) => {
      const sample = samples[index % samples.length];
      if (sample === undefined) throw new Error("there are samples");
      const { outputs, replica } = await client.predictFrame(sample.frame, { deadlineMs: 60_000, retries: 30 });
      const [output] = outputs.values();
      const values = Array.from(output?.data as Float32Array);
      const isRight = values.every((value, at) => Math.abs(value - (sample.golden[at] ?? Number.NaN)) < 1e-5);
      if (!isRight) throw new Error("the answer is not TensorFlow's");
      if (replica !== undefined && !firstAnswers.has(replica)) firstAnswers.set(replica, Date.now());
      return { replica };
    },
    { concurrency, durationMs: 3_600_000, signal: ended.signal },
  );
  try {
    await work(firstAnswers);
  } finally {
    ended.abort();
  }
  const report = await load;
  await channel.close();
  return { ...report, firstAnswers };
}
