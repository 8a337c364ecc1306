import { Command, CommanderError } from "commander";
import { originalBenchWords } from "./commands/bench/original-words.ts";
import { pfCryptWords } from "./commands/seal/pf-crypt-options.ts";
import { EXIT } from "./output/exit-code.ts";
import { reportError } from "./output/report-error.ts";

type MakeCommand = (setExit: (code: number) => void) => Command;

/**
 * Every command, in the order of the help, by its name. Each is loaded only where it runs, since the packages behind one take most of
 * the start. Each factory takes a function for the exit code of its action.
 */
const COMMANDS = new Map<string, () => Promise<MakeCommand>>([
  ["up", async () => (await import("./commands/up/up.ts")).upCommand],
  ["infer", async () => (await import("./commands/infer/infer.ts")).inferCommand],
  ["bench", async () => (await import("./commands/bench/bench.ts")).benchCommand],
  ["model", async () => (await import("./commands/model/model.ts")).modelCommand],
  ["serve", async () => (await import("./commands/serve/serve.ts")).serveCommand],
  ["engine", async () => (await import("./commands/engine.ts")).engineCommand],
  ["enclave", async () => (await import("./commands/enclave/enclave.ts")).enclaveCommand],
  ["seal", async () => (await import("./commands/seal/seal.ts")).sealCommand],
  ["broker", async () => (await import("./commands/broker/broker.ts")).brokerCommand],
  ["policy", async () => (await import("./commands/policy/policy.ts")).policyCommand],
  ["log", async () => (await import("./commands/log.ts")).logCommand],
  ["certs", async () => (await import("./commands/certs.ts")).certsCommand],
  ["attest", async () => (await import("./commands/attest/attest.ts")).attestCommand],
  ["gateway", async () => (await import("./commands/gateway/gateway.ts")).gatewayCommand],
  ["deploy", async () => (await import("./commands/deploy/deploy.ts")).deployCommand],
  ["doctor", async () => (await import("./commands/doctor/doctor.ts")).doctorCommand],
]);

/** The command line with the command that it names, or with all where it names none. `setExit` takes the exit code of the one that ran. */
async function buildProgram(argv: readonly string[], setExit: (code: number) => void): Promise<Command> {
  const program = new Command("cloister")
    .description("Confidential TensorFlow Serving: serve TensorFlow models on machines you do not trust.")
    .version("0.1.0")
    .option("--verbose", "print the stack of unexpected errors")
    .showHelpAfterError("(add --help for the options)")
    .exitOverride();
  const named = COMMANDS.get(argv.find((word) => !word.startsWith("-")) ?? "");
  const makers = named === undefined ? await loadAll() : [await named()];
  for (const make of makers) program.addCommand(inherit(program, make(setExit)));
  return program;
}

/** All commands that are installed: an image holds what its role needs, and its help lists that. */
async function loadAll(): Promise<MakeCommand[]> {
  const loaded = await Promise.allSettled([...COMMANDS.values()].map((load) => load()));
  return loaded.flatMap((result) => {
    if (result.status === "fulfilled") return [result.value];
    if ((result.reason as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return [];
    throw result.reason;
  });
}

/**
 * Runs one command line and returns its exit code: 0 done, 1 refused or failed, 2 wrong usage. Errors go to standard error as
 * `CODE: what - why - what to do`, or as one JSON document with `--json`.
 */
export async function run(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  try {
    const other = await otherGrammar(argv);
    if (other !== undefined) return await other();
    const program = await buildProgram(argv, (exit) => {
      code = exit;
    });
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    // Help and version that were asked for end with 0; help in place of a sub-command that is missing does not.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportError(error, argv);
  }
}

/** What runs a command line that follows another tool's grammar, in which `-V` is not the version and options have one dash. */
async function otherGrammar(argv: readonly string[]): Promise<(() => Promise<number>) | undefined> {
  const cryptWords = pfCryptWords(argv);
  if (cryptWords !== undefined) {
    const { runPfCrypt } = await import("./commands/seal/pf-crypt.ts");
    return () => runPfCrypt(cryptWords);
  }
  const benchWords = originalBenchWords(argv);
  if (benchWords === undefined) return undefined;
  const { runOriginalBench } = await import("./commands/bench/original.ts");
  return () => runOriginalBench(benchWords);
}

/** Sub-commands made elsewhere do not inherit settings on their own. */
function inherit(program: Command, command: Command): Command {
  command.copyInheritedSettings(program);
  for (const child of command.commands) inherit(command, child);
  return command;
}
