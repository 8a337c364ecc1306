import { createPrivateKey } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { toHex } from "@cloister/encoding";
import { computeMrenclave, mrsigner, readGramineManifest, signEnclave } from "@cloister/enclave";
import { Command, InvalidArgumentError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";

interface MeasureFlags {
  readonly manifest: string;
  readonly libpal: string;
  readonly json?: boolean;
}

interface SignFlags extends MeasureFlags {
  readonly key: string;
  readonly output: string;
  readonly date: Day;
}

interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** `cloister enclave`: what runs in the TEE. */
export function enclaveCommand(setExit: (code: number) => void): Command {
  const enclave = new Command("enclave").description("Measure and sign Gramine enclaves.");
  withInputs(enclave.command("measure"))
    .description("Compute MRENCLAVE from .manifest.sgx and libpal.so, equal to Gramine's, without SGX.")
    .action(async (flags: MeasureFlags) => setExit(await measure(flags)));
  withInputs(enclave.command("sign"))
    .description("Write a SIGSTRUCT (.sig) with a key that never has to enter an image.")
    .requiredOption("--key <file>", "RSA-3072 private key with exponent 3, PEM")
    .requiredOption("--output <file>", "where to write the .sig")
    .option("--date <day>", "date in the signature, YYYY-MM-DD (default: today)", parseDay, today())
    .action(async (flags: SignFlags) => setExit(await signCommand(flags)));
  return enclave;
}

function withInputs(command: Command): Command {
  return command
    .requiredOption("--manifest <file>", "the .manifest.sgx, byte for byte as it will be loaded")
    .requiredOption("--libpal <file>", "the libpal.so of the Gramine that will run")
    .option("--json", "print one JSON document");
}

async function read({ manifest, libpal }: MeasureFlags) {
  const text = new Uint8Array(await readFile(manifest));
  const parsed = readGramineManifest(text);
  const mrenclave = computeMrenclave(text, new Uint8Array(await readFile(libpal)), parsed.dimensions);
  return { parsed, mrenclave };
}

async function measure(flags: MeasureFlags): Promise<number> {
  const { parsed, mrenclave } = await read(flags);
  const { isvProdId, isvSvn, debug } = parsed;
  const terminal = openTerminal(flags.json === true);
  terminal.line(`MRENCLAVE  ${toHex(mrenclave)}`);
  terminal.line(`product id ${isvProdId}, security version ${isvSvn}, debug ${debug ? "ON" : "off"}`);
  if (flags.json === true) printJson({ mrenclave: toHex(mrenclave), isvProdId, isvSvn, debug });
  return EXIT.done;
}

async function signCommand(flags: SignFlags): Promise<number> {
  const { parsed, mrenclave } = await read(flags);
  const key = createPrivateKey(await readFile(flags.key));
  await writeFile(flags.output, signEnclave({ ...parsed, mrenclave, date: flags.date }, key));
  const signer = toHex(mrsigner(key));
  const terminal = openTerminal(flags.json === true);
  terminal.line(`MRENCLAVE  ${toHex(mrenclave)}`);
  terminal.line(`MRSIGNER   ${signer}`);
  terminal.line(`written to ${flags.output}`);
  if (flags.json === true) printJson({ mrenclave: toHex(mrenclave), mrsigner: signer, output: flags.output });
  return EXIT.done;
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
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
