import { join } from "node:path";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import type { Installation } from "@cloister/enclave";
import type { AttackResult } from "../attacks/attack.ts";
import { attacksStep } from "../attacks/attacks.ts";
import type { AttackContext } from "../attacks/context.ts";
import { DeployError } from "../errors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { type GatewayKind, openGateway } from "../gateway/open-gateway.ts";
import type { LocalCluster } from "../local/local-cluster.ts";
import { replicaLauncher } from "../local/replica-launcher.ts";
import { brokerStep, type OwnerBroker } from "./broker.ts";
import { Cleanup } from "./cleanup.ts";
import { describeReplica, writeManifest } from "./enclave.ts";
import { type Observe, StepClock, type StepResult } from "./events.ts";
import { prepareFolders, releaseFolders, type WorkFolders } from "./folders.ts";
import { type InferenceOptions, type InferenceResult, inferenceStep } from "./inference.ts";
import { importStep, type OwnedModel } from "./model.ts";
import { certificatesStep, type Owner, type RequesterFiles } from "./owner.ts";
import { replicasStep } from "./replicas.ts";
import type { ChainReport, InferenceReport } from "./report.ts";
import { writeRequesterTrust } from "./requester-trust.ts";
import { sealStep } from "./seal.ts";

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
 * a step fails; the step's own coded error is thrown. When `signal` fires the chain is ended, now or later; while it comes up
 * that throws `INTERRUPTED`.
 */
export async function startChain(options: ChainOptions, observe: Observe, signal?: AbortSignal): Promise<Chain> {
  const cleanup = new Cleanup();
  const interrupted = new Promise<never>((_, reject) => {
    const end = (): void => {
      const rejectNow = (): void => reject(interruption());
      cleanup.run().then(rejectNow, rejectNow);
    };
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
  // Nobody may be waiting any more when it fires.
  interrupted.catch(() => undefined);
  try {
    return await Promise.race([bringUp(options, observe, cleanup), interrupted]);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

function interruption(): DeployError {
  return new DeployError("INTERRUPTED", {
    what: "the chain did not come up",
    why: "it was interrupted",
    remedy: "start it again; nothing was left running",
  });
}

async function bringUp(options: ChainOptions, observe: Observe, cleanup: Cleanup): Promise<Chain> {
  const clock = new StepClock(observe);
  const folders = await prepareFolders(options.workDir);
  cleanup.add(() => releaseFolders(folders));
  const model = await clock.run("import", () => importStep({ ...options.model, modelsDir: options.modelsDir }));
  const { owner, requester } = await clock.run("certificates", () => certificatesStep(folders, options.tls));
  cleanup.add(() => owner.wrapKey.wipe());
  const sealed = await clock.run("seal", () => sealStep({ model, owner, folders }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const manifest = await writeManifest({ ...options, model, owner, folders });
  const broker = await clock.run("broker", () =>
    brokerStep({ ...options, folders, owner, model, sealed, platform, manifest, observe }),
  );
  cleanup.add(() => broker.close());
  const collateralFile = await writeRequesterTrust(folders, platform, broker.policy, owner.logKey.publicKey);
  const gateway = await clock.run("gateway", () => gatewayStep(options, join(folders.host, "gateway")));
  cleanup.add(() => gateway.close());
  const launch = replicaLauncher({
    platform,
    manifest,
    installation: options.installation,
    brokerAddress: broker.address,
    sealedDir: sealed.folder,
    collateralFile,
    logDir: folders.host,
    onPhase: (replica, name, ms) => observe({ type: "replica", replica, text: `${name} ${ms} ms` }),
  });
  const cluster = await clock.run("replicas", () =>
    replicasStep({ replicas: options.replicas, gateway, launch, broker, observe }),
  );
  cleanup.add(() => cluster.close());
  const attackContext: AttackContext = {
    launch,
    manifest,
    platform,
    owner,
    model,
    requester,
    sealed,
    installation: options.installation,
    tls: options.tls,
    folder: join(folders.host, "attacks"),
    brokerAddress: broker.address,
    gatewayAddress: gateway.address,
    onBrokerEvent: broker.onEvent,
  };
  const inferenceContext = { model, requester, address: gateway.address };
  return {
    folders,
    owner,
    model,
    cluster,
    gateway,
    broker,
    requester,
    infer: (inference) => clock.run("inference", () => inferenceStep(inferenceContext, inference, observe)),
    attack: () => clock.run("attacks", () => attacksStep(attackContext, observe)),
    report: (inference, attacks) => chainReport(clock, cluster, inference, attacks),
    close: () => cleanup.run(),
  };
}

async function gatewayStep({ gateway: kind, port }: ChainOptions, runDir: string): Promise<StepResult<Gateway>> {
  const gateway = await openGateway(kind, { host: "127.0.0.1", port, runDir });
  const { address } = gateway;
  const facts = [`${gateway.kind} TLS passthrough on ${address.host}:${address.port}, least connections, no key`];
  return { result: gateway, facts };
}

function chainReport(
  clock: StepClock,
  cluster: LocalCluster,
  inference: InferenceReport,
  attacks: readonly AttackResult[],
): ChainReport {
  const isServed = inference.equal === inference.requests && inference.failed === 0;
  return {
    ok: isServed && attacks.every(({ refused }) => refused),
    simulated: true,
    steps: clock.steps,
    replicas: [...cluster.running].map(([id, replica]) => describeReplica(id, replica)),
    inference,
    attacks: attacks.map(({ name, refused, by, code }) => ({ name, refused, by, code })),
  };
}
