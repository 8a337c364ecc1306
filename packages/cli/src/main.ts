#!/usr/bin/env node
import { pfCryptWords } from "./commands/seal-pf-crypt-options.ts";
import { reportError } from "./output/report-error.ts";

const argv = process.argv.slice(2);
const words = pfCryptWords(argv);

/** Scripts start the stand-in once a file: it must not wait for every other command to load. */
async function pfCrypt(theirs: readonly string[]): Promise<number> {
  const { runPfCrypt } = await import("./commands/seal-pf-crypt.ts");
  return runPfCrypt(theirs).catch((error: unknown) => reportError(error, argv));
}

// A reader of a pipe that has seen enough is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = words === undefined ? await (await import("./program.ts")).run(argv) : await pfCrypt(words);
