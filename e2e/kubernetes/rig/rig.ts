import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ControlPlane } from "./control-plane.ts";
import { writeOwnImage, writePauseImage } from "./images.ts";
import { programPath } from "./layout.ts";
import { writeKeys } from "./keys.ts";
import { ClusterNetwork, namespacePath } from "./network.ts";
import { ClusterNode } from "./node.ts";
import { run, waitFor } from "./process.ts";
import { FOLDER_PREFIX, idOf, OWNER_FILE, sweepRigs } from "./sweep.ts";

const NODES = 2;

/** A real Kubernetes cluster on this machine, in namespaces of its own. */
export interface Rig {
  readonly folder: string;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Network namespace of the control plane, from where the cluster is reached. */
  readonly namespace: string;
  /** Reference of our image, where nodes were started. */
  readonly image: string;
  readonly nodes: readonly ClusterNode[];
  /** Ends and removes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a cluster: with nodes, or the control plane alone. Everything that was begun is ended again when that fails. Where
 * the nodes' processes are to be controlled from elsewhere, `controls` in the folder says what is what.
 */
export async function startRig(options: {
  readonly withNodes: boolean;
  readonly say: (text: string) => void;
}): Promise<Rig> {
  await sweepRigs();
  const folder = mkdtempSync(join(tmpdir(), FOLDER_PREFIX));
  writeFileSync(join(folder, OWNER_FILE), String(process.pid));
  const id = idOf(basename(folder));
  const undo: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (let task = undo.pop(); task !== undefined; task = undo.pop()) await task().catch(() => undefined);
  };
  try {
    const names = Array.from({ length: NODES }, (_, index) => `node-${index + 1}`);
    for (const name of ["keys", "logs", "images"]) mkdirSync(join(folder, name));
    writeKeys(join(folder, "keys"), names);
    const network = await ClusterNetwork.create(id);
    undo.push(() => network.remove());
    const plane = new ControlPlane(network.controlPlane, folder);
    undo.push(() => plane.stop());
    plane.start();
    options.say("control plane started");
    const kubeconfig = join(folder, "keys", "admin.conf");
    const rig = { folder, kubeconfig, namespace: network.controlPlane, stop };
    const nodes: ClusterNode[] = [];
    let image = "";
    if (options.withNodes) {
      image = await writeOwnImage(join(folder, "images"));
      await writePauseImage(join(folder, "images"));
      options.say(`image ${image}`);
      for (let index = 0; index < NODES; index++) {
        const namespace = await network.addNode(index, index);
        const node = new ClusterNode(index, folder, namespace, id);
        undo.push(() => node.remove());
        node.start();
        nodes.push(node);
      }
    }
    await waitFor("a ready API server", async () =>
      (await kubectl(rig, "get", "--raw", "/readyz")) === "ok" ? true : undefined,
    );
    // Every namespace has to get its account before pods can be made.
    await waitFor("the default account", async () => kubectl(rig, "-n", "default", "get", "serviceaccount", "default"));
    for (const node of nodes)
      await waitFor(`${node.name} to be ready`, () =>
        kubectl(rig, "wait", "--for=condition=Ready", `node/${node.name}`, "--timeout=2s"),
      );
    const nodePids: Record<string, number> = Object.fromEntries(nodes.map(({ name, pid }) => [name, pid]));
    const facts = { folder, kubeconfig, namespace: network.controlPlane, image, nodePids };
    writeFileSync(join(folder, "rig.json"), JSON.stringify(facts));
    options.say("ready");
    return { ...rig, image, nodes };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs kubectl as administrator from inside the cluster's network. */
function kubectl(rig: Pick<Rig, "kubeconfig" | "namespace" | "folder">, ...args: string[]): Promise<string> {
  const command = [
    `--net=${namespacePath(rig.namespace)}`,
    programPath("kubectl"),
    "--kubeconfig",
    rig.kubeconfig,
    ...args,
  ];
  return run("nsenter", command, { HOME: rig.folder });
}
