import {
  decodeBundleManifest,
  type FileInspection,
  inspectFile,
  type SignedBundleManifest,
} from "@cloister/protected-files";
import { readKeyFile, readNodeZero, withInput } from "@cloister/protected-files/rim";
import { EXIT } from "../../output/exit-code.ts";
import { renderTable } from "../../output/table.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";

export interface InspectFlags {
  readonly wrapKey?: string;
  readonly manifest?: string;
  readonly json?: boolean;
}

const SHOWN_DIGITS = 16;

/** `cloister seal inspect`: a protected file, or a bundle manifest. */
export async function inspect(path: string, flags: InspectFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const seen = path.endsWith(".json") ? await inspectManifest(path, terminal) : await inspectOne(path, flags, terminal);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(seen)}\n`);
  return EXIT.done;
}

/** What a manifest says about a file: whether it pins it, and as part of what. */
interface PinnedBy {
  readonly path: string;
  readonly model: SignedBundleManifest["manifest"]["model"];
  readonly generation: number;
}

async function inspectOne(
  path: string,
  flags: InspectFlags,
  terminal: Terminal,
): Promise<FileInspection & { readonly pinnedBy?: PinnedBy | null }> {
  const wrapKey = flags.wrapKey === undefined ? undefined : (await readKeyFile(flags.wrapKey)).wrapKey;
  const seen = await withInput(path, async (file, sealedBytes) =>
    inspectFile(await readNodeZero(file, sealedBytes), sealedBytes, wrapKey),
  );
  const rows = rowsOf(seen);
  const pinnedBy = flags.manifest === undefined ? undefined : await pinOf(seen, flags.manifest);
  if (pinnedBy !== undefined) rows.push(["pinned by the manifest", pinnedBy === null ? "no" : pinText(pinnedBy)]);
  terminal.line(renderTable([{ title: "field" }, { title: "value" }], rows));
  if (wrapKey === undefined) terminal.line("nothing of this is verified; --wrap-key verifies the first node");
  return pinnedBy === undefined ? seen : { ...seen, pinnedBy };
}

async function pinOf(seen: FileInspection, path: string): Promise<PinnedBy | null> {
  const { model, generation, files } = await readManifest(path);
  const entry = files.find((file) => file.metadataSha256 === seen.metadataSha256);
  return entry === undefined ? null : { path: entry.path, model, generation };
}

function pinText({ path, model, generation }: PinnedBy): string {
  return `as ${path} of ${model.name} version ${model.version}, generation ${generation}`;
}

function rowsOf({ verified, ...seen }: FileInspection): string[][] {
  const rows: (readonly [string, string | number])[] = [
    ["format", `${seen.formatVersion} (minor ${seen.minor}, flags ${seen.flags})`],
    ["sealed bytes", seen.sealedBytes],
    ["nodes", seen.nodes],
    ["metadata tag", seen.metadataTag],
    ["SHA-256 of node 0", seen.metadataSha256],
    ["refused unless tolerated", seen.oddities.join(", ") || "nothing"],
  ];
  if (verified !== undefined) {
    rows.push(
      ["bound path", JSON.stringify(verified.boundPath)],
      ["plaintext bytes", verified.sizeBytes],
      ["tree", `${verified.mhtNodes} hash nodes on ${verified.depth} levels, ${verified.dataNodes} data nodes`],
      ["nodes after the end", verified.appendedNodes],
    );
  }
  return rows.map(([field, value]) => [field, String(value)]);
}

/** Model, generation and files, as the owner is said to have signed them. */
async function inspectManifest(path: string, terminal: Terminal): Promise<SignedBundleManifest["manifest"]> {
  const manifest = await readManifest(path);
  const { model, generation, files } = manifest;
  const rows = files.map((file) => [
    file.path,
    String(file.sizeBytes),
    file.metadataTag,
    file.sha256.slice(0, SHOWN_DIGITS),
  ]);
  const columns = [
    { title: "file" },
    { title: "bytes", align: "right" as const },
    { title: "metadata tag" },
    { title: "SHA-256" },
  ];
  terminal.line(renderTable(columns, rows));
  terminal.line(`${model.name} version ${model.version}, generation ${generation}; the signature was not verified`);
  return manifest;
}

async function readManifest(path: string): Promise<SignedBundleManifest["manifest"]> {
  return decodeBundleManifest(await withInput(path, (file) => file.readFile())).manifest;
}
