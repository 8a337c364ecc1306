import { deleteDeployment, readLogs, scaleDeployment, waitForRollout } from "@cloister/deploy/cluster";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { type ClusterFlags, deploymentOf, openCluster, withDeploymentOptions } from "./cluster-options.ts";

/** `cloister deploy scale`: more or fewer replicas. */
export function scaleCommand(setExit: (code: number) => void): Command {
  return withDeploymentOptions(new Command("scale"))
    .description("Set the number of replicas; where an autoscaler runs, its least number. Waits until they are READY.")
    .argument("<replicas>", "how many", wholeNumber(1, 10_000))
    .option("--timeout-seconds <n>", "how long to wait", wholeNumber(1, 86_400), 600)
    .action(async (replicas: number, flags: ClusterFlags & { readonly timeoutSeconds: number }) => {
      const terminal = openTerminal(flags.json === true);
      const [api, deployment] = [await openCluster(flags), await deploymentOf(flags)];
      const by = await scaleDeployment(api, deployment, replicas);
      terminal.line(by === "autoscaler" ? `the autoscaler keeps ${replicas} or more` : `${replicas} replicas`);
      const pods = await waitForRollout({
        api,
        deployment,
        timeoutMs: flags.timeoutSeconds * 1000,
        onPod: ({ name, state, node, reason }) =>
          terminal.line(`${state.padEnd(12)} ${name} ${node} ${reason}`.trimEnd()),
      });
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ ok: true, by, replicas: pods })}\n`);
      setExit(EXIT.done);
    });
}

interface LogFlags extends ClusterFlags {
  readonly replica?: string;
  readonly follow?: boolean;
  readonly tail: number;
}

/** `cloister deploy logs`: what the replicas say. */
export function logsCommand(setExit: (code: number) => void): Command {
  return withDeploymentOptions(new Command("logs"))
    .description("Print the replicas' logs. They hold no secrets.")
    .option("--replica <name>", "one replica only")
    .option("--follow", "go on until Ctrl-C")
    .option("--tail <n>", "how many lines of the past", wholeNumber(1, 100_000), 200)
    .action(async (flags: LogFlags) => {
      const [api, deployment] = [await openCluster(flags), await deploymentOf(flags)];
      await readLogs({
        api,
        deployment,
        ...(flags.replica !== undefined && { pod: flags.replica }),
        follow: flags.follow === true,
        tailLines: flags.tail,
        onLine: (replica, line) =>
          process.stdout.write(flags.json === true ? `${JSON.stringify({ replica, line })}\n` : `${replica} ${line}\n`),
      });
      setExit(EXIT.done);
    });
}

/** `cloister deploy delete`: nothing stays. */
export function deleteCommand(setExit: (code: number) => void): Command {
  return withDeploymentOptions(new Command("delete"))
    .description("Delete every object of the deployment, its Secrets and its namespaces included. Nothing stays.")
    .option("--timeout-seconds <n>", "how long to wait until all is gone", wholeNumber(1, 86_400), 300)
    .action(async (flags: ClusterFlags & { readonly timeoutSeconds: number }) => {
      const terminal = openTerminal(flags.json === true);
      const deleted: string[] = [];
      await deleteDeployment({
        api: await openCluster(flags),
        deployment: await deploymentOf(flags),
        timeoutMs: flags.timeoutSeconds * 1000,
        onDeleted: (path) => {
          deleted.push(path);
          terminal.line(`- ${path}`);
        },
      });
      terminal.line(deleted.length === 0 ? "there was nothing" : `${deleted.length} objects deleted`);
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ ok: true, deleted })}\n`);
      setExit(EXIT.done);
    });
}
