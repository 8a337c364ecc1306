import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type ClusterApi, type DeploymentName, listPods, readLogs, type ReplicaPod } from "@cloister/deploy/cluster";
import { type ConnectedRig, connectRig, installGatewayApi } from "./connected.ts";
import { type Load, NAMESPACE, SERVING_NAME, startWorld, type Way, type Work, type World } from "./world.ts";

/** A test that only waits for a slow machine ends after this. */
export const SLOW_MS = 600_000;
const MOST_LOG_LINES = 10_000;
export const WHICH = { namespace: NAMESPACE, name: "serving" };

/** A cluster with the Gateway API, the world around it, and the steps of stories in it. */
export interface Stage {
  readonly rig: ConnectedRig;
  readonly world: World;
  readonly steps: ReturnType<typeof storySteps>;
}

interface VerifiedReplica {
  readonly replica: string;
  readonly simulated: boolean;
  readonly publicKeySha256: string;
}

export async function setStage(): Promise<Stage> {
  const rig = await connectRig();
  await installGatewayApi(rig);
  const world = await startWorld(rig);
  return { rig, world, steps: storySteps(rig, world) };
}

/** What the stories on pods do again and again, with the command line. */
function storySteps(rig: ConnectedRig, world: World) {
  const cluster = () => ["--config", world.configFile, "--kubeconfig", rig.kubeconfig, "--json"];
  const apply = async (...more: string[]) =>
    JSON.parse(
      await world.cli(
        "deploy",
        "apply",
        ...cluster(),
        "--enclave-manifest",
        world.owner.manifestFile,
        "--simulated-platform",
        world.platformFile,
        "--force",
        ...more,
      ),
    ) as { replicas: ReplicaPod[]; changes: { object: string; change: string }[]; pruned: string[] };
  const scale = (replicas: number) => world.cli("deploy", "scale", String(replicas), ...cluster());
  const trust = () => [
    "--address",
    `${world.gateway.host}:${world.gateway.port}`,
    "--requester",
    world.owner.requesterFolder,
    "--server-name",
    SERVING_NAME,
  ];
  const readyPods = async () => (await listPods(rig.api, WHICH)).filter(({ state }) => state === "READY");
  /** The gateway follows the cluster at a distance. */
  const settle = () => sleep(2000);
  /** An attempt that its replica did not wait for, on a machine that is slow, is one too: it is never fewer than keys. */
  const countReleases = async () => (await world.owner.releases()).length;
  /**
   * Load while `work` goes on, with the audit of what a bad day must not cost: no request fails, and no key is without its entry in
   * the release log, be it one that a replica says it was admitted under, before or after, or one that a connection was attested under.
   */
  const underAuditedLoad = async (concurrency: number, work: Work, way?: Way): Promise<Load> => {
    // A pod's log goes with the pod.
    const received = await receivedKeys(rig.api, WHICH);
    const load = await world.underLoad(concurrency, work, way);
    assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
    await audit([...received, ...load.keys, ...(await receivedKeys(rig.api, WHICH))]);
    return load;
  };
  /** Throws unless each of the keys has an entry in the release log, which is verified as a whole. */
  const audit = async (keys: readonly string[]): Promise<void> => {
    const released = new Set((await world.owner.releases()).map(({ peerKeySha256 }) => peerKeySha256));
    for (const key of keys) assert.ok(released.has(key), `the key ${key} was received without an entry in the log`);
  };
  /** Attests the replicas through the gateway. Throws unless each has a key of its own, with an entry in the release log. */
  const verify = async (): Promise<VerifiedReplica[]> => {
    const output = await world.cli("deploy", "verify", ...cluster(), ...trust());
    const { replicas } = JSON.parse(output) as { replicas: VerifiedReplica[] };
    const keys = new Set(replicas.map(({ publicKeySha256 }) => publicKeySha256));
    assert.equal(keys.size, replicas.length, "each has a key of its own");
    await audit([...keys]);
    return replicas;
  };
  return { cluster, apply, scale, trust, readyPods, settle, countReleases, audit, underAuditedLoad, verify };
}

/** Keys that replicas were admitted under, by their own words. Throws where one that is ready says none. */
export async function receivedKeys(api: ClusterApi, deployment: DeploymentName): Promise<string[]> {
  const keys: string[] = [];
  const readyNames = async (): Promise<string[]> =>
    (await listPods(api, deployment)).filter(({ state }) => state === "READY").map(({ name }) => name);
  for (const { name: pod } of await listPods(api, deployment)) {
    const known = keys.length;
    const onLine = (_: string, line: string): void => {
      const [, key] = /"event":"admitted","publicKeySha256":"([0-9a-f]{64})"/.exec(line) ?? [];
      if (key !== undefined) keys.push(key);
    };
    let problem = "it names none";
    await readLogs({ api, deployment, pod, follow: false, tailLines: MOST_LOG_LINES, onLine }).catch(
      (error: unknown) => void (problem = String(error)),
    );
    // One that starts has none yet, and the log of one that goes may be gone.
    if (keys.length > known) continue;
    assert.ok(!(await readyNames()).includes(pod), `the key that ${pod} is ready with is not known: ${problem}`);
  }
  return keys;
}
