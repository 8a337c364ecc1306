import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { listPods, type ReplicaPod } from "@cloister/deploy/cluster";
import { type ConnectedRig, connectRig, installGatewayApi } from "./connected.ts";
import { NAMESPACE, SERVING_NAME, startWorld, type World } from "./world.ts";

/** A test that only waits for a slow machine ends after this. */
export const SLOW_MS = 600_000;
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
    ) as { replicas: ReplicaPod[]; changes: { object: string; change: string }[] };
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
  const countReleases = async () => (await world.owner.releases()).length;
  /** Attests the replicas through the gateway. Throws unless each has a key of its own, with an entry in the release log. */
  const verify = async (): Promise<VerifiedReplica[]> => {
    const output = await world.cli("deploy", "verify", ...cluster(), ...trust());
    const { replicas } = JSON.parse(output) as { replicas: VerifiedReplica[] };
    const keys = new Set(replicas.map(({ publicKeySha256 }) => publicKeySha256));
    const released = new Set((await world.owner.releases()).map(({ peerKeySha256 }) => peerKeySha256));
    assert.equal(keys.size, replicas.length, "each has a key of its own");
    for (const key of keys) assert.ok(released.has(key), `a replica serves without an entry for its key ${key}`);
    return replicas;
  };
  return { cluster, apply, scale, trust, readyPods, settle, countReleases, verify };
}
