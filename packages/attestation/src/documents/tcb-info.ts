import type { CollateralTcbStatus } from "../appraisal/claims.ts";
import { FieldError, type Fields } from "./fields.ts";
import { readDates, type DocumentDates } from "./signed-document.ts";

const COMPONENTS = 16;

/** Words for a platform's level. A word that is not here is refused (dcap.md C.4). */
const PLATFORM_STATUSES: readonly CollateralTcbStatus[] = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
];

/** Words for a quoting enclave or a TDX module, which has no configuration. */
const PART_STATUSES = ["UpToDate", "OutOfDate", "Revoked"] as const;
export type PartStatus = (typeof PART_STATUSES)[number];

/** What a level says of those that reach it. */
export interface LevelVerdict<Status extends CollateralTcbStatus = CollateralTcbStatus> {
  readonly status: Status;
  readonly date: Date;
  readonly advisoryIds: readonly string[];
}

export interface TcbLevel extends LevelVerdict {
  /** 16. */
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  /** 16; TDX only. */
  readonly tdxComponents?: readonly number[];
}

/** A level of a quoting enclave or a TDX module. */
export interface IsvLevel extends LevelVerdict<PartStatus> {
  readonly isvSvn: number;
}

/** Who a TDX module must be. */
export interface TdxModule {
  /** 48 bytes. */
  readonly mrSigner: Uint8Array;
  /** 8 bytes. */
  readonly attributes: Uint8Array;
  /** 8 bytes. */
  readonly attributesMask: Uint8Array;
}

export interface TdxModuleIdentity extends TdxModule {
  /** Version of the module, from an id like "TDX_01". */
  readonly version: number;
  /** Newest first. */
  readonly levels: readonly IsvLevel[];
}

/** TCB info, versions 2 and 3 (dcap.md C.4). */
export interface TcbInfo extends DocumentDates {
  readonly tee: "sgx" | "tdx";
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  /** Newest first: a level that another one does not reach stands behind it. */
  readonly levels: readonly TcbLevel[];
  /** TDX only. */
  readonly tdxModule?: TdxModule;
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[];
}

/** Reads the signed body of TCB info. Throws `FieldError`. */
export function readTcbInfo(body: Fields): TcbInfo {
  const version = body.unsigned("version", 0xffff);
  if (version !== 2 && version !== 3) throw new FieldError("not a known version");
  // Version 2 has no id and is for SGX.
  const tee = version === 3 && body.word("id", ["SGX", "TDX"]) === "TDX" ? "tdx" : "sgx";
  body.unsigned("tcbType", 0);
  const levels = body.objects("tcbLevels").map((level) => readLevel(level, version, tee));
  return {
    ...readDates(body),
    tee,
    fmspc: body.hex("fmspc", 6),
    pceId: body.hex("pceId", 2),
    levels: levels.sort(newestFirst),
    ...(tee === "tdx" && { tdxModule: readModule(body.object("tdxModule")) }),
    tdxModuleIdentities: tee === "tdx" ? readModuleIdentities(body) : [],
  };
}

/** Reads `tcbLevels` of a quoting enclave or a TDX module, newest first. Throws `FieldError`. */
export function readIsvLevels(holder: Fields): readonly IsvLevel[] {
  const levels = holder.objects("tcbLevels").map((level) => ({
    isvSvn: level.object("tcb").unsigned("isvsvn", 0xffff),
    status: level.word("tcbStatus", PART_STATUSES),
    date: level.date("tcbDate"),
    advisoryIds: level.advisoryIds(),
  }));
  return levels.sort((a, b) => b.isvSvn - a.isvSvn);
}

function readLevel(level: Fields, version: 2 | 3, tee: TcbInfo["tee"]): TcbLevel {
  const tcb = level.object("tcb");
  return {
    sgxComponents: version === 2 ? readFlatComponents(tcb) : readComponents(tcb, "sgxtcbcomponents"),
    pceSvn: tcb.unsigned("pcesvn", 0xffff),
    ...(tee === "tdx" && { tdxComponents: readComponents(tcb, "tdxtcbcomponents") }),
    status: level.word("tcbStatus", PLATFORM_STATUSES),
    date: level.date("tcbDate"),
    advisoryIds: level.advisoryIds(),
  };
}

function readComponents(tcb: Fields, name: string): readonly number[] {
  const components = tcb.objects(name);
  if (components.length !== COMPONENTS) throw new FieldError("not 16 components");
  return components.map((component) => component.unsigned("svn", 0xff));
}

function readFlatComponents(tcb: Fields): readonly number[] {
  return Array.from({ length: COMPONENTS }, (_, index) => {
    return tcb.unsigned(`sgxtcbcomp${String(index + 1).padStart(2, "0")}svn`, 0xff);
  });
}

function readModule(fields: Fields): TdxModule {
  return {
    mrSigner: fields.hex("mrsigner", 48),
    attributes: fields.hex("attributes", 8),
    attributesMask: fields.hex("attributesMask", 8),
  };
}

function readModuleIdentities(body: Fields): readonly TdxModuleIdentity[] {
  if (!body.has("tdxModuleIdentities")) return [];
  const identities = body.objects("tdxModuleIdentities", 0).map(readModuleIdentity);
  const versions = new Set(identities.map(({ version }) => version));
  if (versions.size !== identities.length) throw new FieldError("a module version is there twice");
  return identities;
}

function readModuleIdentity(fields: Fields): TdxModuleIdentity {
  const version = readModuleVersion(fields.string("id"));
  return { version, ...readModule(fields), levels: readIsvLevels(fields) };
}

function readModuleVersion(id: string): number {
  const match = /^TDX_([0-9A-Fa-f]{2})$/.exec(id);
  if (match?.[1] === undefined) throw new FieldError("not a module id");
  return Number.parseInt(match[1], 16);
}

/** Intel serves levels in this order; it is not taken on trust. Equal levels stay as served. */
function newestFirst(a: TcbLevel, b: TcbLevel): number {
  const left = [...a.sgxComponents, ...(a.tdxComponents ?? []), a.pceSvn];
  const right = [...b.sgxComponents, ...(b.tdxComponents ?? []), b.pceSvn];
  const at = left.findIndex((svn, index) => svn !== right[index]);
  return at < 0 ? 0 : (right[at] ?? 0) - (left[at] ?? 0);
}
