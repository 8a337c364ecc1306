import {
  AttestationError,
  explain,
  quotedPlatform,
  type AttestationErrorCode,
  type QuotedPlatform,
} from "@cloister/attestation";
import { copySets, readSets, type StoredSet } from "@cloister/attestation/collateral-folder";
import { createCollateralSource } from "@cloister/attestation/collateral-source";
import { inspectItem } from "@cloister/attestation/inspect";
import { parseRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { Command, InvalidArgumentError, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { collateralSetsJson, showCollateralSets } from "./collateral-output.ts";
import {
  anchorsOf,
  read,
  sourceOf,
  withAnchorOptions,
  withSourceOptions,
  type AnchorFlags,
  type SourceFlags,
} from "./options.ts";

const DEFAULT_FOLDER = "collateral";

interface FetchFlags extends SourceFlags {
  readonly evidence?: string;
  readonly tee: "sgx" | "tdx";
  readonly fmspc?: string;
  readonly ca: "platform" | "processor";
  readonly cache: string;
}

interface CopyFlags extends AnchorFlags {
  readonly cache: string;
}

/** `cloister attest collateral`. */
export function attestCollateralCommand(setExit: (code: number) => void): Command {
  const collateral = new Command("collateral").description("Fetch, show, export and import collateral.");
  const fetch = collateral
    .command("fetch")
    .description("Fetch the collateral of a kind of platform, verify it, and keep it.")
    .option("--evidence <file>", "quote or RA-TLS certificate of the platform")
    .option("--fmspc <hex>", "or the platform's FMSPC, 12 hex digits", readFmspc)
    .addOption(new Option("--tee <tee>", "with --fmspc").choices(["sgx", "tdx"]).default("sgx"))
    .addOption(new Option("--ca <ca>", "with --fmspc").choices(["platform", "processor"]).default("platform"))
    .option("--cache <folder>", "where it is kept", DEFAULT_FOLDER);
  withSourceOptions(fetch).action(async (flags: FetchFlags) => setExit(await fetchSet(flags, fetch)));
  withAnchorOptions(
    collateral
      .command("show")
      .description("List stored collateral with its dates and whether it verifies.")
      .argument("[path]", "folder or file", DEFAULT_FOLDER),
  ).action(async (path: string, flags: AnchorFlags) => setExit(await show(path, flags)));
  withAnchorOptions(
    collateral
      .command("export")
      .description("Copy the sets that verify to a folder, for sites without a network.")
      .argument("<folder>", "where to write them")
      .option("--cache <folder>", "where they are kept", DEFAULT_FOLDER),
  ).action(async (folder: string, flags: CopyFlags) => setExit(await copy(flags.cache, folder, flags)));
  withAnchorOptions(
    collateral
      .command("import")
      .description("Take sets of an export that verify.")
      .argument("<path>", "folder or file of an export")
      .option("--cache <folder>", "where they are kept", DEFAULT_FOLDER),
  ).action(async (path: string, flags: CopyFlags) => setExit(await copy(path, flags.cache, flags)));
  return collateral;
}

async function fetchSet(flags: FetchFlags, command: Command): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const { service, ...options } = await sourceOf(flags, command);
  const anchors = await anchorsOf(flags, terminal);
  const platform = await platformOf(flags, command);
  const time = flags.at ?? new Date();
  let refused: AttestationErrorCode | undefined;
  const source = createCollateralSource({
    service,
    anchors,
    clock: () => time,
    folder: flags.cache,
    ...options,
    // A set that was kept already is given at once; the newer one is asked for nevertheless, in the background.
    maxAgeMs: 0,
    onEvent: ({ kind, code }) => {
      if (kind === "fetch-refused") refused = code;
    },
  });
  await source.forPlatform(platform);
  await source.settled();
  if (refused !== undefined) throw new AttestationError(refused, explain(refused));
  const kept = await readSets(flags.cache, anchors, time);
  return report(
    kept.filter(({ platform: found }) => found?.fmspc === platform.fmspc && found.tee === platform.tee),
    flags,
  );
}

async function show(path: string, flags: AnchorFlags): Promise<number> {
  const anchors = await anchorsOf(flags, openTerminal(flags.json === true));
  return report(await readSets(path, anchors, flags.at ?? new Date()), flags);
}

async function copy(from: string, folder: string, flags: AnchorFlags): Promise<number> {
  const anchors = await anchorsOf(flags, openTerminal(flags.json === true));
  return report(await copySets(from, folder, anchors, flags.at ?? new Date()), flags);
}

/** Exit code 1 where a set does not verify, or there is none. */
function report(sets: readonly StoredSet[], flags: AnchorFlags): number {
  showCollateralSets(openTerminal(flags.json === true), sets, flags.at ?? new Date());
  if (flags.json === true) process.stdout.write(`${JSON.stringify(collateralSetsJson(sets))}\n`);
  return sets.length > 0 && sets.every(({ code }) => code === null) ? EXIT.done : EXIT.refused;
}

async function platformOf(flags: FetchFlags, command: Command): Promise<QuotedPlatform> {
  const { evidence, fmspc, tee, ca } = flags;
  if ((evidence === undefined) === (fmspc === undefined)) {
    command.error("error: name the platform: one of --evidence, --fmspc", { exitCode: 2 });
  }
  if (evidence === undefined) return { tee, fmspc: fmspc ?? "", pckCa: ca };
  const { kind, bytes } = inspectItem(await read(evidence));
  if (kind !== "ra-tls-certificate") return quotedPlatform(bytes);
  const certificate = parseRaTlsCertificate(bytes);
  return quotedPlatform(certificate.evidence?.quote ?? certificate.legacyQuote ?? new Uint8Array());
}

function readFmspc(text: string): string {
  if (!/^[0-9A-Fa-f]{12}$/.test(text)) throw new InvalidArgumentError("12 hex digits are needed");
  return text.toLowerCase();
}
