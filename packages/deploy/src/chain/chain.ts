import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { toHex } from "@cloister/encoding";
import type { EnclaveManifest, Installation } from "@cloister/enclave";
import { ATTACKS } from "../attacks/attacks.ts";
import { type AttackContext, carryOut } from "../attacks/context.ts";
import type { AttackResult } from "../attacks/attack.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { type GatewayKind, openGateway } from "../gateway/open-gateway.ts";
import { type LocalCluster, startLocalCluster } from "../local/local-cluster.ts";
import { type ReplicaLauncher, replicaLauncher } from "../local/replica-launcher.ts";
import { type OwnerBroker, startOwnerBroker } from "./broker.ts";
import { Cleanup } from "./cleanup.ts";
import { describeReplica, writeManifest } from "./enclave.ts";
import { type Observe, StepClock } from "./events.ts";
import { prepareFolders, releaseFolders, type WorkFolders } from "./folders.ts";
import { type InferenceOptions, type InferenceResult, runInference } from "./inference.ts";
import { importModel, type OwnedModel } from "./model.ts";
import { createOwner, type Owner, type RequesterFiles, writeRequesterFiles } from "./owner.ts";
import type { ChainReport, InferenceReport } from "./report.ts";
import { sealModel, type SealedModel } from "./seal.ts";

export interface ChainOptions {
  /** Where the program is installed: what replicas run and what is measured. */
  readonly installation: Installation;
  readonly model: { readonly path: string; readonly name: string; readonly version: number };
  readonly modelsDir: string;
  readonly workDir: string;
  readonly replicas: number;
  readonly tls: "one-way" | "mutual";
  /** Gateway port; 0 takes any free one. */
  readonly port: number;
  readonly brokerPort: number;
  readonly gateway: GatewayKind | "auto";
  readonly engineThreads: number;
}

/** The running chain: owner, host and requester on one machine, in a SIMULATED TEE. */
export interface Chain {
  readonly folders: WorkFolders;
  readonly owner: Owner;
  readonly model: OwnedModel;
  readonly cluster: LocalCluster;
  readonly gateway: Gateway;
  readonly broker: OwnerBroker;
  readonly requester: RequesterFiles;
  readonly steps: StepClock["steps"];
  /** Sends real requests through the gateway. */
  infer(options: InferenceOptions): Promise<InferenceResult>;
  /** Carries out every attack, one after the other. */
  attack(): Promise<AttackResult[]>;
  /** The main job's report: ok when every answer equals its reference, no request failed and no attack succeeded. */
  report(inference: InferenceReport, attacks: readonly AttackResult[]): ChainReport;
  /** Ends everything that was started. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Brings the whole chain up: import, certificates, seal, broker, gateway, replicas. Everything started so far is ended again when
 * a step fails; the step's own coded error is thrown.
 */
export async function startChain(options: ChainOptions, observe: Observe): Promise<Chain> {
  const cleanup = new Cleanup();
  try {
    return await bringUp(options, observe, cleanup);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

async function bringUp(options: ChainOptions, observe: Observe, cleanup: Cleanup): Promise<Chain> {
  const folders = await prepareFolders(options.workDir);
  cleanup.add(() => releaseFolders(folders));
  const clock = new StepClock(observe);
  const model = await clock.run("import", () => importStep(options));
  const { owner, requester } = await clock.run("certificates", () => certificatesStep(options, folders, cleanup));
  const sealed = await clock.run("seal", () => sealModel({ model, owner, folders }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const manifest = await writeManifest({ ...options, model, owner, folders });
  const broker = await clock.run("broker", () =>
    startOwnerBroker({ ...options, folders, owner, model, sealed, platform, manifest, observe }),
  );
  cleanup.add(() => broker.close());
  const gateway = await clock.run("gateway", () => gatewayStep(options, folders));
  cleanup.add(() => gateway.close());
  const launch = launcherFor({ options, folders, sealed, platform, manifest, broker, observe });
  const cluster = await clock.run("replicas", () => replicasStep({ options, gateway, launch, manifest, observe }));
  cleanup.add(() => cluster.close());
  const parts = { launch, options, folders, owner, model, sealed, platform, manifest, broker, gateway, requester };
  return {
    folders,
    owner,
    model,
    cluster,
    gateway,
    broker,
    requester,
    steps: clock.steps,
    infer: (inference) =>
      clock.run("inference", () => runInference({ ...parts, address: gateway.address }, inference, observe)),
    attack: () => clock.run("attacks", () => attackStep(parts, observe)),
    report: (inference, attacks) => ({
      ok: inference.equal === inference.requests && inference.failed === 0 && attacks.every(({ refused }) => refused),
      simulated: true,
      steps: clock.steps,
      replicas: [...cluster.running].map(([id, replica]) => describeReplica(id, replica)),
      inference,
      attacks: attacks.map(({ name, refused, by, code }) => ({ name, refused, by, code })),
    }),
    close: () => cleanup.run(),
  };
}

async function importStep(options: ChainOptions) {
  const model = await importModel({ ...options.model, modelsDir: options.modelsDir });
  const bytes = [...model.files.values()].reduce((sum, file) => sum + file.length, 0);
  const facts = [`${model.name} version ${model.version}: ${model.files.size} files, ${bytes} bytes`, model.folder];
  return { result: model, facts };
}

async function certificatesStep(options: ChainOptions, folders: WorkFolders, cleanup: Cleanup) {
  const now = new Date();
  const owner = createOwner(now);
  cleanup.add(() => owner.wrapKey.wipe());
  const requester = await writeRequesterFiles(owner, folders, options.tls, now);
  const facts = [`${options.tls} TLS; owner's keys stay in memory; requester's files in ${folders.requester}`];
  return { result: { owner, requester }, facts };
}

async function gatewayStep(options: ChainOptions, folders: WorkFolders) {
  const gateway = await openGateway(options.gateway, {
    host: "127.0.0.1",
    port: options.port,
    runDir: join(folders.host, "gateway"),
  });
  const { host, port } = gateway.address;
  return { result: gateway, facts: [`${gateway.kind} TLS passthrough on ${host}:${port}, least connections, no key`] };
}

interface LauncherParts {
  readonly options: ChainOptions;
  readonly folders: WorkFolders;
  readonly sealed: SealedModel;
  readonly platform: SimulatedPlatform;
  readonly manifest: EnclaveManifest;
  readonly broker: OwnerBroker;
  readonly observe: Observe;
}

function launcherFor({
  options,
  folders,
  sealed,
  platform,
  manifest,
  broker,
  observe,
}: LauncherParts): ReplicaLauncher {
  return replicaLauncher({
    platform,
    manifest,
    installation: options.installation,
    brokerAddress: broker.address,
    sealedDir: sealed.folder,
    logDir: folders.host,
    onPhase: (replica, name, ms) => observe({ type: "replica", replica, text: `${name} ${ms} ms` }),
  });
}

interface ReplicasParts {
  readonly options: ChainOptions;
  readonly gateway: Gateway;
  readonly launch: ReplicaLauncher;
  readonly manifest: EnclaveManifest;
  readonly observe: Observe;
}

async function replicasStep({ options, gateway, launch, observe }: ReplicasParts) {
  const cluster = await startLocalCluster({
    replicas: options.replicas,
    gateway,
    launch: (id) => launch(id),
    onEvent: (event) => {
      const text = event.type === "start-failed" ? `start failed: ${event.code}` : event.type;
      observe({ type: "replica", replica: event.replica, text });
    },
  });
  const facts = [...cluster.running].map(
    ([id, { pid, measurement }]) =>
      `${id}: process ${pid}, SIMULATED TEE, MRENCLAVE ${toHex(measurement).slice(0, 16)}…`,
  );
  return { result: cluster, facts };
}

type AttackParts = Omit<
  AttackContext,
  "installation" | "folder" | "generation" | "sealed" | "brokerAddress" | "gatewayAddress" | "tls" | "onBrokerEvent"
> & {
  readonly options: ChainOptions;
  readonly folders: WorkFolders;
  readonly sealed: SealedModel;
  readonly broker: OwnerBroker;
  readonly gateway: Gateway;
};

async function attackStep(parts: AttackParts, observe: Observe) {
  const { options, folders, sealed, broker, gateway } = parts;
  const folder = join(folders.host, "attacks");
  await mkdir(folder, { recursive: true });
  const context: AttackContext = {
    ...parts,
    folder,
    installation: options.installation,
    tls: options.tls,
    generation: sealed.generation,
    sealed: sealed.files,
    brokerAddress: broker.address,
    gatewayAddress: gateway.address,
    onBrokerEvent: broker.onEvent,
  };
  const results: AttackResult[] = [];
  for (const attack of ATTACKS.filter(({ onlyFor = options.tls }) => onlyFor === options.tls)) {
    observe({ type: "progress", text: attack.tried });
    const result = await carryOut(attack, context);
    observe({ type: "attack", result });
    results.push(result);
  }
  const refused = results.filter((result) => result.refused).length;
  return { result: results, facts: [`${refused} of ${results.length} refused`] };
}
