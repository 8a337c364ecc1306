import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import {
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
/** Of the claim that sealed models come by. */
const MODELS = "sealed-models";
const GATEWAY_PERIOD_MS = 250;

/** What a load was like, and when each replica answered first. */
export interface Load extends LoadReport {
  readonly firstAnswers: ReadonlyMap<string, number>;
  /** Digests of the serving keys that attested connections of the load were under. */
  readonly keys: ReadonlySet<string>;
}

/** How requests come to replicas, where they do not go through the gateway. */
export type Way = Pick<ChannelOptions, "address" | "moreAddresses" | "resolve" | "maxConnectionAgeMs">;

/** What goes on under load. It is told, as it happens, when each replica answered first. */
export type Work = (firstAnswers: ReadonlyMap<string, number>) => Promise<void>;

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
  /**
   * Requests until `work` is done, over attested connections through the gateway, or another way. The connections last: where they
   * lead to other replicas it is because a replica ended them in time.
   */
  readonly underLoad: (concurrency: number, work: Work, way?: Way) => Promise<Load>;
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
  const modelsFolder = await provideModels(rig, NAMESPACE, owner.sealedFolder);

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
      maxConnectionAge: "5s",
      replicas: { minimum: 1, maximum: 12 },
      autoscaling: { kind: "none" },
      broker: { kind: "host-alias", host: NETWORK.outside, port: BROKER_PORT, ip: NETWORK.controlPlane },
      gateway: { kind: "nginx", hostname: SERVING_NAME },
      ...changes,
    };
    writeFileSync(configFile, JSON.stringify({ kubernetes }));
  };
  configure({});
  const channel = (keys: Set<string>, way: Way = { address: gateway.address }): ChannelOptions => ({
    ...way,
    tls: { ca: owner.authority, serverName: SERVING_NAME },
    connections: 8,
    attestation: createAttestor({
      anchors: [platform.trustAnchor],
      policy: owner.policy,
      collateral: () => Promise.resolve(platform.collateral()),
      onVerified: ({ publicKeySha256 }) => void keys.add(publicKeySha256),
    }),
  });
  const samples = await prepareFrames(folder);
  return {
    owner,
    configFile,
    platformFile,
    modelsFolder,
    gateway: gateway.address,
    setIntruders: (backends) => (intruders = backends),
    underLoad: async (concurrency, work, way) => {
      const keys = new Set<string>();
      return { ...(await runUnderLoad(channel(keys, way), samples, concurrency, work)), keys };
    },
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

/** The sealed files as a namespace's claim, on a volume that every node has. Gives the folder, as nodes see it. */
async function provideModels(rig: ConnectedRig, namespace: string, source: string): Promise<string> {
  const shared = sharedFolder(rig, `models-of-${namespace}`);
  cpSync(source, shared, { recursive: true });
  for (const entry of readdirSync(shared, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  await rig.create(
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: `${namespace}-models` },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadOnlyMany"],
        storageClassName: "",
        hostPath: { path: shared, type: "Directory" },
        claimRef: { namespace, name: MODELS },
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: MODELS, namespace },
      spec: {
        accessModes: ["ReadOnlyMany"],
        storageClassName: "",
        volumeName: `${namespace}-models`,
        resources: { requests: { storage: "1Gi" } },
      },
    },
  );
  return shared;
}

/** A folder that both nodes see: their disk is this machine's. */
export function sharedFolder(rig: ConnectedRig, name: string): string {
  chmodSync(rig.folder, 0o755);
  const folder = join(rig.folder, name);
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  return folder;
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
): Promise<Omit<Load, "keys">> {
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
