import { mkdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  type BundleManifest,
  decodeBundleManifest,
  encodeBundleManifest,
  type ModelVersion,
  ProtectedFileError,
  type SignedBundleManifest,
} from "@cloister/protected-files";
import {
  listTree,
  newestIssued,
  openBundleTo,
  type OpenBundleToOptions,
  ownerKeyPath,
  ownerSigningKey,
  ownerWrapKey,
  readKeyFile,
  readOwnerKey,
  recordIssued,
  sealBundleTo,
  takeGeneration,
  verifyBundleIn,
  wrapKeyPath,
  writeFileAtomically,
} from "@cloister/protected-files/rim";
import { EXIT } from "../../output/exit-code.ts";
import { renderTable } from "../../output/table.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { progressBar } from "../model/output.ts";
import { type ThreadedWork, untilInterrupted, withThreads } from "./work.ts";

export interface ModelFlags {
  readonly name?: string;
  readonly modelVersion: number;
  readonly sealed: string;
  readonly keys: string;
  readonly threads: number;
  readonly json?: boolean;
}

export interface SealFlags extends ModelFlags {
  readonly generation?: number;
  readonly format: "1.0" | "2.0";
  readonly replace?: boolean;
}

/** Flags of commands that verify a bundle. */
export interface BundleFlags extends ModelFlags {
  readonly wrapKey?: string;
  readonly ownerKey?: string;
  readonly minimumGeneration?: number;
}

export interface OpenFlags extends BundleFlags {
  readonly output: string;
  readonly replace?: boolean;
}

/** `cloister seal bundle`. */
export async function bundleModel(directory: string, flags: SealFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const model = modelOf(flags, nameFrom(directory));
  const input = resolve(directory);
  const sizeBytes = (await listTree(input)).reduce((sum, file) => sum + file.sizeBytes, 0);
  const signingKey = await ownerSigningKey(flags.keys);
  const wrapKey = await ownerWrapKey(flags.keys, model);
  const generation = await takeGeneration(flags.keys, model, flags.generation);
  const { format: formatVersion, replace } = flags;
  const onProgress = progressBar(terminal);
  const options = { model, generation, wrapKey, signingKey, formatVersion, replace, onProgress };
  const signed = await untilInterrupted((signal) =>
    withThreads({ threads: flags.threads, sizeBytes }, (pool) =>
      sealBundleTo(input, sealedFolder(flags, model), { ...options, pool, signal }),
    ),
  );
  await issueManifest(flags, signed);
  report(terminal, flags, "sealed", signed.manifest);
  terminal.line(`manifest in ${manifestPath(flags, model)}, keys in ${flags.keys}: keep them from the host`);
  return EXIT.done;
}

/** `cloister seal open`. */
export async function openModel(flags: OpenFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const { folder, options } = await checkOptions(flags, terminal);
  const { replace, output } = flags;
  const manifest = await untilInterrupted((signal) =>
    withThreads(workOf(flags, options), (pool) =>
      openBundleTo(folder, resolve(output), { ...options, replace, pool, signal }),
    ),
  );
  report(terminal, flags, "opened", manifest);
  return EXIT.done;
}

/** `cloister seal verify`. */
export async function verifyModel(flags: BundleFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const { folder, options } = await checkOptions(flags, terminal);
  const manifest = await withThreads(workOf(flags, options), (pool) => verifyBundleIn(folder, { ...options, pool }));
  report(terminal, flags, "verified", manifest);
  return EXIT.done;
}

/** How much work a bundle is; its manifest has not been verified yet, but this only decides about threads. */
export function workOf({ threads }: ModelFlags, { manifest }: OpenBundleToOptions): ThreadedWork {
  return { threads, sizeBytes: manifest.manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0) };
}

/** The sealed directory of a model and what to verify it with. */
export async function checkOptions(
  flags: BundleFlags,
  terminal: Terminal,
): Promise<{ readonly model: ModelVersion; readonly folder: string; readonly options: OpenBundleToOptions }> {
  const model = modelOf(flags, undefined);
  const minimumGeneration = flags.minimumGeneration ?? (await newestIssued(flags.keys, model));
  const options = {
    manifest: await readManifest(flags, model),
    ownerKey: await readOwnerKey(flags.ownerKey ?? ownerKeyPath(flags.keys)),
    wrapKey: (await readKeyFile(flags.wrapKey ?? wrapKeyPath(flags.keys, model))).wrapKey,
    expect: { ...model, minimumGeneration },
    onProgress: progressBar(terminal),
  };
  return { model, folder: sealedFolder(flags, model), options };
}

/** Writes a bundle's manifest, and then records that older bundles are out of date. */
export async function issueManifest(flags: ModelFlags, signed: SignedBundleManifest): Promise<void> {
  const { model, generation } = signed.manifest;
  const path = manifestPath(flags, model);
  await mkdir(dirname(path), { recursive: true });
  const write = { overwrite: true, mode: 0o644 };
  await writeFileAtomically(path, write, (file) => file.writeFile(encodeBundleManifest(signed)));
  await recordIssued(flags.keys, model, generation);
}

/** What was done with which files, as a table or as one JSON document. */
export function report(terminal: Terminal, flags: ModelFlags, done: string, manifest: BundleManifest): void {
  const { model, generation, files } = manifest;
  const rows = files.map(({ path, sizeBytes, sha256 }) => [path, String(sizeBytes), sha256.slice(0, 16)]);
  terminal.line(renderTable([{ title: "file" }, { title: "bytes", align: "right" }, { title: "SHA-256" }], rows));
  terminal.line(`${done} ${model.name} version ${model.version}, generation ${generation}: ${files.length} files`);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ok: true, model, generation, files })}\n`);
}

async function readManifest(flags: ModelFlags, model: ModelVersion): Promise<SignedBundleManifest> {
  const path = manifestPath(flags, model);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new ProtectedFileError("INPUT_MISSING", { subject: path, cause });
  });
  return decodeBundleManifest(bytes);
}

function modelOf(flags: ModelFlags, fallback: string | undefined): ModelVersion {
  const name = flags.name ?? fallback;
  if (name === undefined) throw new ProtectedFileError("BUNDLE_MODEL_INVALID");
  return { name, version: flags.modelVersion };
}

/** The name in `.../<name>/<version>`, or the last part of any other path. */
function nameFrom(directory: string): string {
  const path = resolve(directory);
  return /^\d+$/.test(basename(path)) ? basename(dirname(path)) : basename(path);
}

function sealedFolder(flags: ModelFlags, { name, version }: ModelVersion): string {
  return resolve(flags.sealed, "models", name, String(version));
}

function manifestPath(flags: ModelFlags, { name, version }: ModelVersion): string {
  return join(flags.sealed, "bundles", name, `${version}.json`);
}
