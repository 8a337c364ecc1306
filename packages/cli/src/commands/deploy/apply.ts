import { readFile } from "node:fs/promises";
import {
  applyObjects,
  type ClusterApi,
  type DeploymentName,
  findStale,
  type ObjectChange,
  pruneObjects,
  refuseTakenNamespace,
  type ReplicaPod,
  simulatedPlatformSecret,
  waitForRollout,
} from "@cloister/deploy/cluster";
import { renderObjects, valuesOf } from "@cloister/deploy/kubernetes";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { type ClusterFlags, openCluster, withClusterOptions } from "./cluster-options.ts";
import { type DeployFlags, deployInput, withDeployOptions } from "./settings.ts";

interface ApplyFlags extends DeployFlags, ClusterFlags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly wait: boolean;
  readonly prune: boolean;
  readonly pruneStorage?: boolean;
  readonly timeoutSeconds: number;
  readonly simulatedPlatform?: string;
}

/** `cloister deploy apply`: brings a cluster to what the settings say. */
export function applyCommand(setExit: (code: number) => void): Command {
  return withClusterOptions(withDeployOptions(new Command("apply")))
    .description("Apply the objects to a cluster (server-side apply), and wait until every replica is READY.")
    .option("--dry-run", "ask the cluster what would change, show it, and change nothing")
    .option("--force", "take over fields that somebody else owns")
    .option("--no-prune", "leave what earlier settings made and these do not")
    .option("--prune-storage", "prune volumes and claims too: what is in them is lost")
    .option("--no-wait", "do not wait for the replicas")
    .option("--timeout-seconds <n>", "how long to wait for the replicas", wholeNumber(1, 86_400), 600)
    .option("--simulated-platform <file>", "platform.json of a SIMULATED platform: becomes the plugin's Secret")
    .action(async (flags: ApplyFlags) => setExit(await apply(flags)));
}

async function apply(flags: ApplyFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const { settings, enclaveManifest, part } = await deployInput(flags);
  const objects = renderObjects(valuesOf(settings, enclaveManifest), part);
  const api = await openCluster(flags);
  await refuseTakenNamespace(api, settings);
  const changes = await applyObjects({
    api,
    objects:
      flags.simulatedPlatform === undefined
        ? objects
        : withSecret(objects, settings, await readFile(flags.simulatedPlatform)),
    dryRun: flags.dryRun === true,
    force: flags.force === true,
    onChange: (change) => showChange(terminal, change),
  });
  // The broker alone is a part: what is not in it may well be wanted.
  const pruned = flags.prune && part === "all" ? await prune(flags, terminal, api, settings, changes) : [];
  let replicas: ReplicaPod[] = [];
  if (flags.dryRun !== true && flags.wait && part === "all") {
    replicas = await waitForRollout({
      api,
      deployment: settings,
      timeoutMs: flags.timeoutSeconds * 1000,
      onPod: ({ name, state, node, reason }) =>
        terminal.line(`${state.padEnd(12)} ${name} ${node} ${reason}`.trimEnd()),
    });
    terminal.line(
      `${replicas.length} replicas READY${settings.preset === "simulation" ? " on a SIMULATED platform" : ""}`,
    );
  }
  if (flags.json === true) {
    const simulated = settings.preset === "simulation";
    process.stdout.write(
      `${JSON.stringify({ ok: true, dryRun: flags.dryRun === true, simulated, changes, pruned, replicas })}\n`,
    );
  }
  return EXIT.done;
}

/** Takes away what these settings do not make any more; tells what that is first, and with a dry run only that. */
async function prune(
  flags: ApplyFlags,
  terminal: Terminal,
  api: ClusterApi,
  deployment: DeploymentName,
  changes: readonly ObjectChange[],
): Promise<string[]> {
  const rendered = new Set(changes.map(({ path }) => path));
  const stale = await findStale({ api, deployment, rendered, storage: flags.pruneStorage === true });
  for (const { path } of stale) terminal.line(`- ${path}`);
  if (flags.dryRun !== true) await pruneObjects(api, stale);
  return stale.map(({ path }) => path);
}

/** The Secret goes right after the namespace that it is in. */
function withSecret(
  objects: ReturnType<typeof renderObjects>,
  settings: Parameters<typeof simulatedPlatformSecret>[0],
  state: Buffer,
): ReturnType<typeof renderObjects> {
  const at = objects.findIndex(({ file }) => file === "simulated-sgx-namespace");
  return objects.toSpliced(at + 1, 0, { file: "simulated-platform", object: simulatedPlatformSecret(settings, state) });
}

const MARK = { created: "+", changed: "~", unchanged: "=" } as const;

function showChange(terminal: Terminal, { object, change, steps }: ObjectChange): void {
  terminal.line(`${MARK[change]} ${object}`);
  // A Secret's content stays out of the picture.
  if (object.startsWith("Secret ")) return;
  for (const step of steps) {
    const value = "value" in step ? ` ${JSON.stringify(step.value).slice(0, 200)}` : "";
    terminal.line(`    ${step.op} ${step.path}${value}`);
  }
}
