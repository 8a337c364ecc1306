import { setTimeout as sleep } from "node:timers/promises";
import { listPods, type ReplicaPod } from "@cloister/deploy/cluster";
import type { ConnectedRig } from "./connected.ts";
import { NAMESPACE, SERVING_NAME, type World } from "./world.ts";

/** A test that only waits for a slow machine ends after this. */
export const SLOW_MS = 600_000;
export const WHICH = { namespace: NAMESPACE, name: "serving" };

/** What the stories on pods do again and again, with the command line. */
export function storySteps(rig: ConnectedRig, world: World) {
  const cluster = () => ["--config", world.configFile, "--kubeconfig", rig.kubeconfig, "--json"];
  const apply = async (...more: string[]) =>
    JSON.parse(
      await world.cli(
        "deploy",
        "apply",
        ...cluster(),
        "--enclave-manifest",
        world.manifestFile,
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
    world.requesterFolder,
    "--server-name",
    SERVING_NAME,
  ];
  const readyPods = async () => (await listPods(rig.api, WHICH)).filter(({ state }) => state === "READY");
  /** The gateway follows the cluster at a distance. */
  const settle = () => sleep(2000);
  return { cluster, apply, scale, trust, readyPods, settle };
}
