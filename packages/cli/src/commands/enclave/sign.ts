import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import {
  assembleSigstruct,
  computeMrenclave,
  mrsigner,
  readGramineManifest,
  signedBytes,
  signEnclave,
  signWithCommand,
} from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command, InvalidArgumentError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { need } from "../../read-document.ts";

interface SignFlags {
  readonly manifest: string;
  readonly libpal: string;
  readonly key?: string;
  readonly signCommand?: string;
  readonly publicKey?: string;
  readonly output: string;
  readonly date?: Day;
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
    .option("--key <file>", "RSA-3072 private key with exponent 3, PEM")
    .option("--sign-command <program>", "or a program that signs: bytes on its input, signature on its output")
    .option("--public-key <file>", "public half of the key that it signs with, PEM")
    .requiredOption("--output <file>", "where to write the .sig")
    .option("--date <day>", "date in the signature, YYYY-MM-DD (default: today)", parseDay)
    .option("--json", "print one JSON document")
    .action(async (flags: SignFlags) => setExit(await sign(flags)));
}

async function sign(flags: SignFlags): Promise<number> {
  const text = new Uint8Array(await readFile(flags.manifest));
  const parsed = readGramineManifest(text);
  const mrenclave = computeMrenclave(text, new Uint8Array(await readFile(flags.libpal)), parsed.dimensions);
  const { key, sigstruct } = await makeSigstruct({ ...parsed, mrenclave, date: flags.date ?? today() }, flags);
  await writeFile(flags.output, sigstruct);
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

type Identity = Parameters<typeof signEnclave>[0];

/** With the key in a file, or with one that a program keeps: a token behind PKCS#11, a key service. */
async function makeSigstruct(
  identity: Identity,
  { key: keyFile, signCommand, publicKey }: SignFlags,
): Promise<{ readonly key: KeyObject; readonly sigstruct: Uint8Array }> {
  if (signCommand === undefined) {
    const key = createPrivateKey(await readFile(need(keyFile, "--key or --sign-command")));
    return { key, sigstruct: signEnclave(identity, key) };
  }
  const key = createPublicKey(await readFile(need(publicKey, "--public-key")));
  const signature = await signWithCommand(signCommand, signedBytes(identity));
  return { key, sigstruct: assembleSigstruct(identity, key, signature) };
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
