import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createHash } from "node:crypto";
import { INTEL_ROOT, type CollateralService, type TrustAnchor, type UpdateType } from "@cloister/attestation";
import { inspectItem } from "@cloister/attestation/inspect";
import { PRESETS, qcnlService } from "@cloister/attestation/qcnl";
import { readQcnl } from "@cloister/attestation/read-qcnl";
import { CodedError } from "@cloister/encoding";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Terminal } from "../../output/terminal.ts";

export type AttestInputErrorCode =
  "TRUST_ANCHOR_INVALID" | "EVIDENCE_UNSUPPORTED" | "INPUT_NOT_READ" | "VECTORS_NOT_READ";

/** Refusals of what was given on the command line. */
export class AttestInputError extends CodedError<AttestInputErrorCode> {}

export interface AnchorFlags {
  readonly trustAnchor: readonly string[];
  readonly at?: Date;
  readonly json?: boolean;
}

export interface ServiceFlags extends AnchorFlags {
  readonly service?: string;
  readonly qcnl?: string | true;
  readonly tlsCa?: string;
  readonly allowInsecureTls?: boolean;
}

export interface SourceFlags extends ServiceFlags {
  readonly bundle?: string;
  readonly update?: UpdateType;
}

/** Where collateral comes from, with the settings that go with it. */
export interface Source {
  readonly service: CollateralService;
  readonly update: UpdateType;
  readonly retries?: number;
  readonly pauseMs?: number;
  readonly maxAgeMs?: number;
}

/** --trust-anchor, --at and --json. */
export function withAnchorOptions(command: Command): Command {
  return command
    .option(
      "--trust-anchor <file>",
      "accept a SIMULATED root (PEM or DER) beside Intel's; repeat for more",
      collect,
      [],
    )
    .option("--at <time>", "verify as of this time (RFC 3339) instead of now", readTime)
    .option("--json", "print one JSON document");
}

/** A collateral service, and the options of `withAnchorOptions`. */
export function withServiceOptions(command: Command): Command {
  return withAnchorOptions(
    command
      .option("--service <url>", `PCCS or PCS address, or a preset: ${[...PRESETS.keys()].join(", ")}`)
      .option("--qcnl [file]", "the service that an sgx_default_qcnl.conf names (default: QCNL_CONF_PATH or /etc)")
      .option("--tls-ca <file>", "authority (PEM) of the service's TLS certificate")
      .option("--allow-insecure-tls", "let a qcnl file turn the TLS check off; newer collateral can then be held back"),
  );
}

/** Where collateral comes from: the options of `withServiceOptions`, and stored sets. */
export function withSourceOptions(command: Command): Command {
  return withServiceOptions(
    command
      .option("--bundle <path>", "file or folder of stored collateral; no network is used")
      .addOption(new Option("--update <type>", "default: standard").choices(["standard", "early"])),
  );
}

/** Reads which source is meant. Wrong usage where not exactly one is named; rejects with the codes of qcnl files. */
export async function sourceOf(flags: SourceFlags, command: Command): Promise<Source> {
  const { bundle, service, qcnl } = flags;
  if ([bundle, service, qcnl].filter((flag) => flag !== undefined).length !== 1) {
    command.error("error: name where collateral comes from: one of --bundle, --service, --qcnl", { exitCode: 2 });
  }
  const update = flags.update ?? "standard";
  const file: CollateralService = { kind: "file", url: pathToFileURL(resolve(bundle ?? "")).href };
  const named = await serviceOf(flags);
  return named === undefined ? { service: file, update, retries: 0 } : { ...named, ...(flags.update && { update }) };
}

/** The collateral service that is named, if one is. Rejects with the codes of qcnl files. */
export async function serviceOf(flags: ServiceFlags): Promise<Source | undefined> {
  const { service, qcnl } = flags;
  const tlsAuthority = flags.tlsCa === undefined ? {} : { tlsAuthority: (await read(flags.tlsCa)).toString("latin1") };
  if (qcnl !== undefined) {
    const settings = await readQcnl(qcnl === true ? undefined : qcnl);
    const named = qcnlService(settings, { allowInsecureTls: flags.allowInsecureTls === true });
    return { ...named, service: { ...named.service, ...tlsAuthority } };
  }
  if (service === undefined) return undefined;
  const known = PRESETS.get(service)?.service ?? { kind: "pccs" as const, url: service };
  return { service: { ...known, ...tlsAuthority }, update: "standard" };
}

/** Intel's root and the simulated ones that were named, which are printed loudly. Rejects with TRUST_ANCHOR_INVALID. */
export async function anchorsOf({ trustAnchor }: AnchorFlags, terminal: Terminal): Promise<TrustAnchor[]> {
  const anchors = [INTEL_ROOT];
  for (const path of trustAnchor) {
    const certificate = readAnchor(await read(path));
    const sha256 = createHash("sha256").update(certificate).digest("hex");
    terminal.line(terminal.style(["bold", "red"], `SIMULATED ROOT TRUSTED: ${path} (SHA-256 ${sha256})`));
    anchors.push({ name: `simulated:${basename(path)}`, kind: "simulated", certificate });
  }
  return anchors;
}

/** Reads a file whole. Rejects with INPUT_NOT_READ. */
export async function read(path: string): Promise<Buffer> {
  return await readFile(path).catch((cause: unknown) => {
    const explanation = { what: `${path} was not read`, why: "the file cannot be opened", remedy: "check the path" };
    throw new AttestInputError("INPUT_NOT_READ", explanation, { cause });
  });
}

function readAnchor(bytes: Uint8Array): Uint8Array {
  try {
    const { kind, bytes: der } = inspectItem(bytes);
    if (kind === "certificate") return der;
  } catch {
    // Said below.
  }
  throw new AttestInputError("TRUST_ANCHOR_INVALID", {
    what: "trust anchor refused",
    why: "the file holds no single certificate",
    remedy: "give the root certificate alone, PEM or DER",
  });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function readTime(text: string): Date {
  const time = new Date(
    /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? text : Number.NaN,
  );
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError("a time like 2026-03-01T12:00:00Z is needed");
  return time;
}
