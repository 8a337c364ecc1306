import {
  type AttestedReplica,
  checkReport,
  listPods,
  replicaStatus,
  type ReplicaStatus,
  verifyReplicas,
  type VerifyReport,
} from "@cloister/deploy/cluster";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { renderTable } from "../../output/table.ts";
import { openTerminal } from "../../output/terminal.ts";
import { channelOptionsOf, type ClientFlags, withClientOptions } from "../client-options.ts";
import { need } from "../../read-document.ts";
import { replicaJson } from "../infer/output.ts";
import { type ClusterFlags, deploymentOf, openCluster, withDeploymentOptions } from "./cluster-options.ts";

interface VerifyFlags extends ClusterFlags, ClientFlags {}

const SHOWN_DIGITS = 16;

/** `cloister deploy verify`: attests every replica behind the gateway. */
export function verifyCommand(setExit: (code: number) => void): Command {
  return withClientOptions(withDeploymentOptions(new Command("verify")))
    .description("Attest every replica behind the gateway, the way requesters come. Fails where one is an impostor.")
    .action(async (flags: VerifyFlags) => setExit(await verify(flags)));
}

async function verify(flags: VerifyFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const report = await attestAll(flags, ({ replica, evidence }) => {
    const { measurement, simulated, tee, tcbStatus } = replicaJson(evidence);
    const platform = simulated ? "SIMULATED" : tee;
    terminal.line(`attested ${replica} ${platform} ${measurement.slice(0, SHOWN_DIGITS)}… TCB ${tcbStatus}`);
  });
  checkReport(report);
  if (flags.json === true) {
    const replicas = report.attested.map(({ replica, evidence }) => ({ replica, ...replicaJson(evidence) }));
    process.stdout.write(`${JSON.stringify({ ok: true, replicas })}\n`);
  }
  terminal.line(`${report.attested.length} replicas attested, each on its own`);
  return EXIT.done;
}

async function attestAll(flags: VerifyFlags, onAttested: (replica: AttestedReplica) => void): Promise<VerifyReport> {
  if (flags.mrenclave === undefined && flags.requester === undefined)
    need(flags.attest, "--attest, --mrenclave or --requester");
  const pods = await listPods(await openCluster(flags), await deploymentOf(flags));
  return verifyReplicas({
    replicas: pods.filter(({ state }) => state === "READY").map(({ name }) => name),
    channel: (onVerified) => channelOptionsOf(flags, onVerified),
    onAttested,
  });
}

interface StatusFlags extends VerifyFlags {
  readonly windowMs: number;
}

/** `cloister deploy status`: what the replicas are at. */
export function statusCommand(setExit: (code: number) => void): Command {
  return withClientOptions(withDeploymentOptions(new Command("status")))
    .description(
      "Show replicas, platform, measurement, model and rate. With --attest or the like each is attested, and its TCB shown.",
    )
    .option("--window-ms <n>", "time over which requests are counted", wholeNumber(100, 60_000), 1000)
    .action(async (flags: StatusFlags) => setExit(await status(flags)));
}

async function status(flags: StatusFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const replicas = await replicaStatus(await openCluster(flags), await deploymentOf(flags), flags.windowMs);
  const isAttesting = (flags.attest ?? flags.mrenclave ?? flags.requester) !== undefined;
  const report = isAttesting ? await attestAll(flags, () => undefined) : undefined;
  const evidence = new Map(report?.attested.map(({ replica, evidence: found }) => [replica, found]));
  const columns = [
    "replica",
    "state",
    "node",
    "platform",
    "measurement",
    "TCB",
    "model",
    "requests/s",
    "calls",
    "restarts",
    "reason",
  ];
  const rows = replicas.map((replica) => {
    const claims = evidence.get(replica.name)?.claims;
    return [
      replica.name,
      replica.state,
      replica.node,
      platformOf(replica),
      `${replica.measurement.slice(0, SHOWN_DIGITS)}…`,
      claims?.tcb.status ?? "not attested",
      replica.model === null ? "" : `${replica.model.name}/${replica.model.version}`,
      String(replica.requestsPerSecond ?? ""),
      String(replica.runningCalls ?? ""),
      String(replica.restarts),
      replica.reason,
    ];
  });
  terminal.line(
    renderTable(
      columns.map((title) => ({ title })),
      rows,
    ),
  );
  if (flags.json === true) {
    const describe = (replica: ReplicaStatus) => ({
      ...replica,
      attested: evidence.has(replica.name),
      tcbStatus: evidence.get(replica.name)?.claims.tcb.status ?? null,
    });
    process.stdout.write(`${JSON.stringify({ replicas: replicas.map(describe) })}\n`);
  }
  return EXIT.done;
}

/** What the replica says of itself; where it cannot be asked, what it was deployed for. */
function platformOf({ platform, simulated, tee }: ReplicaStatus): string {
  if (simulated === true || (platform === null && tee === "simulation")) return "SIMULATED";
  return platform ?? tee;
}
