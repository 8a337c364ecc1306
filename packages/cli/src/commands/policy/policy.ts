import { writeFile } from "node:fs/promises";
import {
  diffPolicies,
  importRaConfig,
  parsePolicy,
  type PastDecision,
  planPolicy,
  type Policy,
  policySha256,
} from "@cloister/policy";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { readDocument } from "../../read-document.ts";
import { type LogFlags, openLogAccess, withLogOptions } from "../log-access.ts";
import { showDiff, showImport, showPlan, showPolicy } from "./output.ts";

interface JsonFlag {
  readonly json?: boolean;
}

interface PlanFlags extends LogFlags {
  readonly current: string;
}

interface ImportFlags extends JsonFlag {
  readonly name: string;
  readonly keyId: string;
  readonly output?: string;
}

/** `cloister policy`: release policies, before they take effect. */
export function policyCommand(setExit: (code: number) => void): Command {
  const policy = new Command("policy").description("Check, compare, plan and import release policies.");
  const json = "print one JSON document";
  policy
    .command("check")
    .description("Say whether a file is a policy, and what it allows.")
    .argument("<file>", "policy, JSON or YAML")
    .option("--json", json)
    .action(async (file: string, flags: JsonFlag) => setExit(await check(file, flags)));
  policy
    .command("diff")
    .description("List what differs between two policies.")
    .argument("<before>", "policy, JSON or YAML")
    .argument("<after>", "policy, JSON or YAML")
    .option("--json", json)
    .action(async (before: string, after: string, flags: JsonFlag) => setExit(await diff(before, after, flags)));
  withLogOptions(policy.command("plan"))
    .description("Replay the release log: what would the next policy have decided otherwise, and who still runs on it?")
    .argument("<next>", "policy, JSON or YAML")
    .requiredOption("--current <file>", "the policy in force")
    .action(async (next: string, flags: PlanFlags) => setExit(await plan(next, flags)));
  policy
    .command("import")
    .description("Turn the original service's ra_config.json into a policy, and say what differs and why.")
    .argument("<file>", "ra_config.json")
    .option("--name <name>", "name of the workload", "serving")
    .option("--key-id <id>", "key that it gets", "default")
    .option("--output <file>", "where to write the policy (default: print it)")
    .option("--json", json)
    .action(async (file: string, flags: ImportFlags) => setExit(await importFile(file, flags)));
  return policy;
}

const readPolicy = async (path: string): Promise<Policy> => parsePolicy(await readDocument(path));

function print(flags: JsonFlag, data: object): number {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}

async function check(file: string, flags: JsonFlag): Promise<number> {
  const policy = await readPolicy(file);
  const sha256 = policySha256(policy);
  showPolicy(openTerminal(flags.json === true), policy, sha256);
  return print(flags, { ok: true, sha256, policy });
}

async function diff(before: string, after: string, flags: JsonFlag): Promise<number> {
  const changes = diffPolicies(await readPolicy(before), await readPolicy(after));
  showDiff(openTerminal(flags.json === true), changes);
  return print(flags, { changes });
}

async function plan(file: string, flags: PlanFlags): Promise<number> {
  const [current, next] = [await readPolicy(flags.current), await readPolicy(file)];
  const past: PastDecision[] = [];
  const { verify } = await openLogAccess(flags);
  const log = await verify({
    onEntry({ time, decision, claims }, index) {
      // Written by a broker that appraised them, and the log verifies.
      if (claims === null) return;
      past.push({ index, time, released: decision === "released", claims: claims as PastDecision["claims"] });
    },
  });
  const changes = diffPolicies(current, next);
  const now = new Date();
  const effects = planPolicy(current, next, past).map((effect) => {
    const { released, servesUntil } = effect;
    const running = released && (servesUntil === null || new Date(servesUntil) > now);
    return Object.assign(effect, { running });
  });
  showPlan(openTerminal(flags.json === true), { changes, effects, replayed: past.length });
  return print(flags, { changes, entries: log.size, replayed: past.length, effects });
}

async function importFile(file: string, flags: ImportFlags): Promise<number> {
  const imported = importRaConfig(await readDocument(file), { name: flags.name, keyId: flags.keyId });
  if (flags.output !== undefined) {
    await writeFile(flags.output, `${JSON.stringify(imported.policy, null, 2)}\n`, { flag: "wx" });
  }
  showImport(openTerminal(flags.json === true), imported, flags.output);
  return print(flags, imported);
}
