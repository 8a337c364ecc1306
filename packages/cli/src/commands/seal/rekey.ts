import { existsSync } from "node:fs";
import { rename, stat } from "node:fs/promises";
import type { Secret } from "@cloister/encoding";
import { ANY_PATH, type ReKeyOptions } from "@cloister/protected-files";
import {
  generateWrapKey,
  ownerSigningKey,
  readKeyFile,
  reEncryptFile,
  reKeyBundleIn,
  reKeyFile,
  takeGeneration,
  wrapKeyPath,
  writeKeyFile,
} from "@cloister/protected-files/rim";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { progressBar } from "../model/output.ts";
import { type BundleFlags, checkOptions, issueManifest, report, workOf } from "./bundle.ts";
import { untilInterrupted, withThreads } from "./work.ts";

export interface ReKeyFlags extends BundleFlags {
  readonly boundPath?: string;
  readonly newWrapKey?: string;
  readonly full?: boolean;
}

const NOT_PROTECTED = `Only the first node of each file is new; the keys inside the file are the same. Whoever had the old wrap key and a copy
of the old first node can still read the file, and has had its content. After a leak use --full, and treat the content as known.`;

/** `cloister seal rekey`: one protected file, or a model with its manifest. */
export async function reKey(file: string | undefined, flags: ReKeyFlags): Promise<number> {
  return file === undefined ? reKeyModel(flags) : reKeyOne(file, flags);
}

async function reKeyOne(file: string, flags: ReKeyFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  if (flags.wrapKey === undefined || flags.newWrapKey === undefined) {
    process.stderr.write("USAGE: one file needs --wrap-key and --new-wrap-key\n");
    return EXIT.usage;
  }
  const { wrapKey } = await readKeyFile(flags.wrapKey);
  const newWrapKey = await readOrMakeKey(flags.newWrapKey);
  const options: ReKeyOptions = { wrapKey, newWrapKey, boundPath: flags.boundPath ?? ANY_PATH };
  if (flags.full === true) await reEncryptOnThreads(file, flags.threads, options, terminal);
  else await reKeyFile(file, options);
  terminal.line(`${file} is under the key in ${flags.newWrapKey}`);
  if (flags.full !== true) terminal.line(NOT_PROTECTED);
  const full = flags.full === true;
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ok: true, file, full })}\n`);
  return EXIT.done;
}

async function reEncryptOnThreads(
  file: string,
  threads: number,
  options: ReKeyOptions,
  terminal: Terminal,
): Promise<void> {
  // Only a hint for the threads; a missing file is refused by name later.
  const sizeBytes = (await stat(file).catch(() => undefined))?.size ?? 0;
  const onProgress = progressBar(terminal);
  await untilInterrupted((signal) =>
    withThreads({ threads, sizeBytes }, (pool) => reEncryptFile(file, { ...options, onProgress, pool, signal })),
  );
}

/** The new key is on the disk before anything is sealed under it, and takes the old one's name last. */
async function reKeyModel(flags: ReKeyFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const { model, folder, options } = await checkOptions(flags, terminal);
  const keyPath = flags.wrapKey ?? wrapKeyPath(flags.keys, model);
  const newWrapKey = await readOrMakeKey(`${keyPath}.next`);
  const signingKey = await ownerSigningKey(flags.keys);
  const generation = await takeGeneration(flags.keys, model);
  const { full } = flags;
  const signed = await withThreads(workOf(flags, options), (pool) =>
    reKeyBundleIn(folder, { ...options, newWrapKey, signingKey, generation, full, pool }),
  );
  await issueManifest(flags, signed);
  await rename(`${keyPath}.next`, keyPath);
  report(terminal, flags, "re-keyed", signed.manifest);
  if (full !== true) terminal.line(NOT_PROTECTED);
  return EXIT.done;
}

async function readOrMakeKey(path: string): Promise<Secret> {
  if (existsSync(path)) return (await readKeyFile(path)).wrapKey;
  const wrapKey = generateWrapKey();
  await writeKeyFile(path, wrapKey);
  return wrapKey;
}
