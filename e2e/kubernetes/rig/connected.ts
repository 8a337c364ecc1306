import { readFileSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClusterApi, connectCluster } from "@cloister/deploy/cluster";
import { programPath } from "./layout.ts";
import { run } from "./process.ts";

/** What test files, which run inside the control plane's network, know of the rig. */
export interface ConnectedRig {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly image: string;
  /** As if the node's machine lost its power. */
  readonly killNode: (name: string) => void;
  readonly api: ClusterApi;
  readonly kubectl: (...args: string[]) => Promise<string>;
  /** Makes objects as kubectl does, not as our own apply. */
  readonly create: (...objects: object[]) => Promise<void>;
}

interface RigFacts {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly image: string;
  readonly nodePids: Readonly<Record<string, number>>;
}

/** The rig that `main.ts test` started. Throws where there is none: these tests never pass without a cluster. */
export async function connectRig(): Promise<ConnectedRig> {
  const path = process.env["CLOISTER_RIG"];
  if (path === undefined) throw new Error("there is no cluster: run npm run test:kubernetes");
  const { folder, kubeconfig, image, nodePids } = JSON.parse(readFileSync(path, "utf8")) as RigFacts;
  const api = await connectCluster({ kubeconfig });
  // kubectl keeps what it discovered in the home directory.
  const kubectl = (...args: string[]): Promise<string> =>
    run(programPath("kubectl"), ["--kubeconfig", kubeconfig, ...args], { HOME: folder });
  const create = async (...items: object[]): Promise<void> => {
    const file = join(folder, "created.json");
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await kubectl("create", "-f", file);
    await rm(file);
  };
  const killNode = (name: string): void => void process.kill(nodePids[name] ?? 0, "SIGKILL");
  return { folder, kubeconfig, image, api, kubectl, create, killNode };
}

/** The Gateway API's definitions of the standard channel, out of its published module. */
export async function gatewayDefinitions(): Promise<{ version: string; text: string }> {
  const module = join(import.meta.dirname, "../gateway-api");
  const go = (...args: string[]): Promise<string> =>
    run("go", ["-C", module, ...args], {
      GOTOOLCHAIN: "local",
      PATH: `${process.env["PATH"] ?? ""}:/usr/local/go/bin`,
    });
  await go("mod", "download");
  const [folder = "", version = ""] = (await go("list", "-m", "-f", "{{.Dir}} {{.Version}}", "sigs.k8s.io/gateway-api"))
    .trim()
    .split(" ");
  const crds = join(folder, "config/crd/standard");
  const names = (await readdir(crds)).filter((name) => name.startsWith("gateway.networking.k8s.io_")).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(crds, name), "utf8")));
  return { version, text: texts.join("\n---\n") };
}

export async function installGatewayApi(rig: ConnectedRig): Promise<void> {
  const file = join(rig.folder, "gateway-api.yaml");
  await writeFile(file, (await gatewayDefinitions()).text);
  await rig.kubectl("apply", "--server-side", "-f", file);
  await rig.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
}
