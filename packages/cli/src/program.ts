import { Command, CommanderError } from "commander";
import { enclaveCommand } from "./commands/enclave.ts";
import { modelCommand } from "./commands/model.ts";
import { sealCommand } from "./commands/seal.ts";
import { runPfCrypt } from "./commands/seal-pf-crypt.ts";
import { upCommand } from "./commands/up.ts";
import { EXIT } from "./output/exit-code.ts";
import { reportOf } from "./output/format-error.ts";

/** Every command, in the order of the help. Each factory takes a function for the exit code of its action. */
const COMMANDS = [upCommand, modelCommand, enclaveCommand, sealCommand];

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
    if (argv[0] === "seal" && argv[1] === "pf-crypt") return await runPfCrypt(argv.slice(2));
    const program = buildProgram((exit) => {
      code = exit;
    });
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return HELP_CODES.has(error.code) ? EXIT.done : EXIT.usage;
    const report = reportOf(error);
    if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ ok: false, error: report })}\n`);
    else process.stderr.write(`${report.code}: ${report.message}\n`);
    if (argv.includes("--verbose") && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
    return EXIT.refused;
  }
}

/** Sub-commands made elsewhere do not inherit settings on their own. */
function inherit(program: Command, command: Command): Command {
  command.copyInheritedSettings(program);
  for (const child of command.commands) inherit(command, child);
  return command;
}
