import { stat } from "node:fs/promises";
import { STOCK_TOLERANCES, type Tolerance } from "@cloister/protected-files";
import {
  type CryptedFile,
  decryptPath,
  encryptPath,
  generateWrapKey,
  readKeyFile,
  writeKeyFile,
} from "@cloister/protected-files/rim";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { progressBar } from "../model/output.ts";
import { parsePfCryptWords, type PfCryptWords } from "./pf-crypt-options.ts";
import { untilInterrupted, withThreads } from "./work.ts";

const USAGE = `Usage: cloister seal pf-crypt MODE [options]

Takes the modes and options of gramine-sgx-pf-crypt, so that a script can swap the name.

Modes (the first letter is enough):
  gen-key   write a new wrap key: -w
  encrypt   encrypt a file, or a directory with everything below it: -w -i -o
  decrypt   decrypt the same: -w -i -o [-V]

Options, before or after the mode:
  -w, --wrap-key PATH   wrap key file, 16 bytes
  -i, --input PATH      file or directory to read
  -o, --output PATH     file or directory to write
  -V, --verify          decrypt: the input path has to be the one the file is bound to
  -v, --verbose         name every file that is done
  -h, --help            this text

Ours alone:
  --force               overwrite what is there
  --bound-path PATH     encrypt: path to bind instead of the output's; decrypt: path to compare with
  --format VERSION      encrypt: 1.0 (default) or 2.0
  --tolerate WHAT       decrypt: stock, or a comma-separated list of what to let pass (see the reference on protected files)
  --threads N           threads for large files (default: 2)
  --json                print one JSON document

Other than the stock tool: a missing input fails, nothing is overwritten without --force, key files get mode 0600, and no
output appears before all of the input has verified. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

const FORMATS = ["1.0", "2.0"] as const;
const TOLERANCES: readonly Tolerance[] = [...STOCK_TOLERANCES, "raw-path"];
const MAX_THREADS = 64;

interface Settings {
  readonly mode: "gen-key" | "encrypt" | "decrypt";
  readonly wrapKey: string;
  readonly input: string;
  readonly output: string;
  readonly boundPath: string | undefined;
  readonly formatVersion: (typeof FORMATS)[number];
  readonly tolerate: readonly Tolerance[];
  readonly threads: number;
  readonly overwrite: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
}

/** `cloister seal pf-crypt`. `argv` is what follows it, unparsed: the stock tool's grammar is not commander's. Gives the exit code. */
export async function runPfCrypt(argv: readonly string[]): Promise<number> {
  const words = parsePfCryptWords(argv);
  if (!("wrong" in words) && words.options.help === true) {
    process.stdout.write(USAGE);
    return EXIT.done;
  }
  const settings = "wrong" in words ? words : settingsOf(words);
  if ("wrong" in settings) {
    process.stderr.write(`USAGE: ${settings.wrong} - see cloister seal pf-crypt --help\n`);
    return EXIT.usage;
  }
  const terminal = openTerminal(settings.json);
  if (settings.mode === "gen-key") await generateKey(settings, terminal);
  else report(settings, terminal, await crypt(settings, terminal));
  return EXIT.done;
}

/** The settings the words stand for, or what is wrong with them. */
function settingsOf({ operands, options }: PfCryptWords): Settings | { readonly wrong: string } {
  const [given, ...more] = operands;
  const mode = (["gen-key", "encrypt", "decrypt"] as const).find((each) => each[0] === given?.[0]);
  if (given === undefined) return { wrong: "a mode is needed: gen-key, encrypt or decrypt" };
  if (mode === undefined) return { wrong: "the mode is not gen-key, encrypt or decrypt" };
  if (more.length > 0) return { wrong: "there is one mode, and every path belongs to an option" };
  const text = (name: keyof typeof options): string => String(options[name] ?? "");
  if (text("wrap-key") === "") return { wrong: "--wrap-key is needed" };
  if (mode !== "gen-key" && (text("input") === "" || text("output") === "")) {
    return { wrong: "--input and --output are needed" };
  }
  const formatVersion = FORMATS.find((each) => each === (options.format ?? "1.0"));
  if (formatVersion === undefined) return { wrong: "--format is 1.0 or 2.0" };
  const tolerate = tolerancesOf(text("tolerate"));
  if (tolerate === undefined) return { wrong: `--tolerate takes stock, or some of ${TOLERANCES.join(",")}` };
  const threads = Number(options.threads ?? 2);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) return { wrong: "--threads is 1 to 64" };
  const comparedPath = mode === "decrypt" && options.verify === true ? text("input") : undefined;
  return {
    mode,
    wrapKey: text("wrap-key"),
    input: text("input"),
    output: text("output"),
    boundPath: options["bound-path"] === undefined ? comparedPath : text("bound-path"),
    formatVersion,
    tolerate,
    threads,
    overwrite: options.force === true,
    verbose: options.verbose === true,
    json: options.json === true,
  };
}

function tolerancesOf(text: string): readonly Tolerance[] | undefined {
  if (text === "") return [];
  if (text === "stock") return STOCK_TOLERANCES;
  const found = text.split(",").map((name) => TOLERANCES.find((each) => each === name));
  return found.every((each) => each !== undefined) ? found : undefined;
}

async function generateKey({ wrapKey, overwrite, json }: Settings, terminal: Terminal): Promise<void> {
  await writeKeyFile(wrapKey, generateWrapKey(), { overwrite });
  terminal.line(`wrap key in ${wrapKey}, readable by its owner only`);
  if (json) process.stdout.write(`${JSON.stringify({ ok: true, wrapKey })}\n`);
}

async function crypt(settings: Settings, terminal: Terminal): Promise<CryptedFile[]> {
  const { mode, input, threads, verbose } = settings;
  const { wrapKey, readableByOthers } = await readKeyFile(settings.wrapKey);
  if (readableByOthers) warn(`${settings.wrapKey} can be read by others than its owner`);
  const show = progressBar(terminal);
  // Only a hint for the threads; a missing input is refused by name later.
  const sizeBytes = await stat(input).then(
    (stats) => (stats.isDirectory() ? Infinity : stats.size),
    () => 0,
  );
  const { output, overwrite, boundPath, formatVersion, tolerate } = settings;
  const done = await untilInterrupted((signal) =>
    withThreads({ threads, sizeBytes }, (pool) => {
      const options = { input, output, wrapKey, overwrite, boundPath, pool, signal, onProgress: show };
      return mode === "encrypt" ? encryptPath({ ...options, formatVersion }) : decryptPath({ ...options, tolerate });
    }),
  );
  for (const file of verbose ? done : []) {
    terminal.line(`${mode}ed ${file.input} -> ${file.output}, ${file.sizeBytes} bytes, bound to ${file.boundPath}`);
  }
  return done;
}

function report({ mode, json }: Settings, terminal: Terminal, done: readonly CryptedFile[]): void {
  if (done.some((file) => !file.wasNormal)) {
    warn(`the path to bind was not in normal form; bound to ${done[0]?.boundPath ?? ""}`);
  }
  const bytes = done.reduce((sum, file) => sum + file.sizeBytes, 0);
  terminal.line(`${mode}ed ${done.length} ${done.length === 1 ? "file" : "files"}, ${bytes} bytes`);
  const files = done.map(({ input, output, boundPath, sizeBytes }) => ({ input, output, boundPath, sizeBytes }));
  if (json) process.stdout.write(`${JSON.stringify({ ok: true, mode, files })}\n`);
}

function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`);
}
