import { type ClusterApi, connectCluster, type DeploymentName } from "@cloister/deploy/cluster";
import { readSettings } from "@cloister/deploy/kubernetes";
import type { Command } from "commander";
import { readSection } from "../../config.ts";
import { KUBERNETES_SECTION } from "./settings.ts";

/** Flags of commands that look at a deployment which is there already. */
export interface ClusterFlags {
  readonly config?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly json?: boolean;
}

export function withClusterOptions(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "how to reach the cluster (default: KUBECONFIG, then ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig");
}

export function withDeploymentOptions(command: Command): Command {
  return withClusterOptions(command)
    .option("--config <file>", "configuration (default: cloister.yaml, if there is one)")
    .option("--namespace <name>", "namespace (default: cloister)")
    .option("--name <name>", "name of the deployment (default: serving)")
    .option("--json", "print JSON");
}

export function openCluster({ kubeconfig, context }: ClusterFlags): Promise<ClusterApi> {
  return connectCluster({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  });
}

/** Which deployment is meant: flags over configuration over the settings' own defaults. */
export async function deploymentOf(flags: ClusterFlags): Promise<DeploymentName> {
  const section = (await readSection(flags.config, KUBERNETES_SECTION)) ?? {};
  const { namespace = section["namespace"], name = section["name"] } = flags;
  const placeholder = { image: "none", measurement: "0".repeat(64), model: { name: "none" }, broker: {} };
  const settings = readSettings({
    ...placeholder,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
  });
  return { namespace: settings.namespace, name: settings.name };
}
