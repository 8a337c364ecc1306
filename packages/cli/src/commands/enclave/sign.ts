import { createPrivateKey } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { computeMrenclave, mrsigner, readGramineManifest, signEnclave } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command, InvalidArgumentError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";

interface SignFlags {
  readonly manifest: string;
  readonly libpal: string;
  readonly key: string;
  readonly output: string;
  readonly date: Day;
  readonly json?: boolean;
}

interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** `cloister enclave sign`. */
export function signCommand(setExit: (code: number) => void): Command {
  return new Command("sign")
    .description("Write a SIGSTRUCT (.sig) with a key that never has to enter an image.")
    .requiredOption("--manifest <file>", "the .manifest.sgx, byte for byte as it will be loaded")
    .requiredOption("--libpal <file>", "the libpal.so of the Gramine that will run")
    .requiredOption("--key <file>", "RSA-3072 private key with exponent 3, PEM")
    .requiredOption("--output <file>", "where to write the .sig")
    .option("--date <day>", "date in the signature, YYYY-MM-DD (default: today)", parseDay, today())
    .option("--json", "print one JSON document")
    .action(async (flags: SignFlags) => setExit(await sign(flags)));
}

async function sign(flags: SignFlags): Promise<number> {
  const text = new Uint8Array(await readFile(flags.manifest));
  const parsed = readGramineManifest(text);
  const mrenclave = computeMrenclave(text, new Uint8Array(await readFile(flags.libpal)), parsed.dimensions);
  const key = createPrivateKey(await readFile(flags.key));
  await writeFile(flags.output, signEnclave({ ...parsed, mrenclave, date: flags.date }, key));
  const signer = toHex(mrsigner(key));
  const terminal = openTerminal(flags.json === true);
  terminal.line(`MRENCLAVE  ${toHex(mrenclave)}`);
  terminal.line(`MRSIGNER   ${signer}`);
  terminal.line(`written to ${flags.output}`);
  if (flags.json === true) {
    const report = { mrenclave: toHex(mrenclave), mrsigner: signer, output: flags.output };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  return EXIT.done;
}

function parseDay(text: string): Day {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  const isDay = match !== null && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));
  if (!isDay) throw new InvalidArgumentError("a day as YYYY-MM-DD is needed");
  return { year: Number(match[1]), month: Number(match[2]), day: Number(match[3]) };
}

function today(): Day {
  return parseDay(new Date().toISOString().slice(0, 10));
}
