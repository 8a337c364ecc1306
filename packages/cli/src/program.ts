import { Command, CommanderError } from "commander";
import { enclaveCommand } from "./commands/enclave.ts";
import { brokerCommand } from "./commands/broker.ts";
import { certsCommand } from "./commands/certs.ts";
import { logCommand } from "./commands/log.ts";
import { policyCommand } from "./commands/policy.ts";
import { attestCommand } from "./commands/attest.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { benchCommand } from "./commands/bench.ts";
import { originalBenchWords, runOriginalBench } from "./commands/bench-original.ts";
import { inferCommand } from "./commands/infer.ts";
import { modelCommand } from "./commands/model.ts";
import { serveCommand } from "./commands/serve.ts";
import { sealCommand } from "./commands/seal.ts";
import { runPfCrypt } from "./commands/seal-pf-crypt.ts";
import { pfCryptWords } from "./commands/seal-pf-crypt-options.ts";
import { upCommand } from "./commands/up.ts";
import { EXIT } from "./output/exit-code.ts";
import { reportError } from "./output/report-error.ts";

/** Every command, in the order of the help. Each factory takes a function for the exit code of its action. */
const COMMANDS = [
  upCommand,
  inferCommand,
  benchCommand,
  modelCommand,
  serveCommand,
  enclaveCommand,
  sealCommand,
  brokerCommand,
  policyCommand,
  logCommand,
  certsCommand,
  attestCommand,
  doctorCommand,
];

const HELP_CODES = new Set(["commander.helpDisplayed", "commander.help", "commander.version"]);

/** The whole command line. `setExit` takes the exit code of the command that ran. */
function buildProgram(setExit: (code: number) => void): Command {
  const program = new Command("cloister")
    .description("Confidential TensorFlow Serving: serve TensorFlow models on machines you do not trust.")
    .version("0.1.0")
    .option("--verbose", "print the stack of unexpected errors")
    .showHelpAfterError("(add --help for the options)")
    .exitOverride();
  for (const make of COMMANDS) program.addCommand(inherit(program, make(setExit)));
  return program;
}

/**
 * Runs one command line and returns its exit code: 0 done, 1 refused or failed, 2 wrong usage. Errors go to standard error as
 * `CODE: what - why - what to do`, or as one JSON document with `--json`.
 */
export async function run(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  try {
    // The words behind it follow another tool's grammar, in which `-V` is not the version.
    const words = pfCryptWords(argv);
    if (words !== undefined) return await runPfCrypt(words);
    const benchWords = originalBenchWords(argv);
    if (benchWords !== undefined) return await runOriginalBench(benchWords);
    const program = buildProgram((exit) => {
      code = exit;
    });
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return HELP_CODES.has(error.code) ? EXIT.done : EXIT.usage;
    return reportError(error, argv);
  }
}

/** Sub-commands made elsewhere do not inherit settings on their own. */
function inherit(program: Command, command: Command): Command {
  command.copyInheritedSettings(program);
  for (const child of command.commands) inherit(command, child);
  return command;
}
