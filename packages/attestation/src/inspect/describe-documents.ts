import { fromUtf8, toHex } from "@cloister/encoding";
import { parseStrictJson, type JsonValue } from "@cloister/encoding/canonical-json";
import { EXTENSION_OID, findExtension, parseCrl, readCrlNumber } from "@cloister/encoding/x509";
import { parseChain } from "../chain/chain.ts";
import { isProcessorCa } from "../chain/profile.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { Fields } from "../documents/fields.ts";
import { readQeIdentity } from "../documents/qe-identity.ts";
import { readTcbInfo, type IsvLevel, type TcbLevel } from "../documents/tcb-info.ts";
import type { DocumentDates } from "../documents/signed-document.ts";
import { refusal } from "../errors.ts";
import type { QuotedPlatform } from "../collateral/quoted-platform.ts";
import type { CollateralItem } from "../collateral/verify-collateral.ts";
import { describeCrl } from "./describe-certificate.ts";
import type { Detail } from "./inspection.ts";

type Details = { readonly [name: string]: Detail };

/** A signed document of either kind without its signature; a body that stands alone is taken too. Throws `FieldError`. */
export function describeTcbInfo(bytes: Uint8Array): Details {
  const info = readTcbInfo(body(bytes, "tcbInfo"));
  return {
    tee: info.tee,
    fmspc: toHex(info.fmspc),
    pceId: toHex(info.pceId),
    ...dates(info),
    tdxModuleIdentities: info.tdxModuleIdentities.map(({ version, levels }) => ({
      version,
      levels: levels.map(level),
    })),
    levels: info.levels.map(platformLevel),
  };
}

/** As `describeTcbInfo`. Throws `FieldError`. */
export function describeQeIdentity(bytes: Uint8Array): Details {
  const identity = readQeIdentity(body(bytes, "enclaveIdentity"));
  return {
    id: identity.id,
    ...dates(identity),
    mrsigner: toHex(identity.mrSigner),
    isvProdId: identity.isvProdId,
    attributes: toHex(identity.attributes),
    attributesMask: toHex(identity.attributesMask),
    levels: identity.levels.map(level),
  };
}

/** A stored set. Throws where an item cannot be read. */
export function describeCollateral(collateral: Collateral): Details {
  return {
    platform: { ...collateralPlatform(collateral) },
    tcbInfo: describeTcbInfo(collateral.tcbInfo),
    qeIdentity: describeQeIdentity(collateral.qeIdentity),
    rootCaCrl: describeCrl(parseCrl(collateral.rootCaCrl)),
    pckCrl: describeCrl(parseCrl(collateral.pckCrl)),
  };
}

/**
 * The kind of platform that a set says it is for. Nothing is verified. Throws `AttestationError` COLLATERAL_MALFORMED where
 * it does not say.
 */
export function collateralPlatform(collateral: Collateral): QuotedPlatform {
  try {
    const { tee, fmspc } = readTcbInfo(body(collateral.tcbInfo, "tcbInfo"));
    const [ca] = parseChain("PCK_CRL_CHAIN", collateral.pckCrlIssuerChain);
    if (ca === undefined) throw refusal("COLLATERAL_MALFORMED");
    return { tee, fmspc: toHex(fmspc), pckCa: isProcessorCa(ca) ? "processor" : "platform" };
  } catch (error) {
    throw refusal("COLLATERAL_MALFORMED", error);
  }
}

/** The items of a set with their dates and numbers, unverified. Throws `AttestationError` COLLATERAL_MALFORMED. */
export function collateralItems(collateral: Collateral): readonly CollateralItem[] {
  try {
    const tcbInfo = readTcbInfo(body(collateral.tcbInfo, "tcbInfo"));
    const qeIdentity = readQeIdentity(body(collateral.qeIdentity, "enclaveIdentity"));
    return [
      crlItem("rootCaCrl", collateral.rootCaCrl),
      crlItem("pckCrl", collateral.pckCrl),
      documentItem("tcbInfo", tcbInfo),
      documentItem("qeIdentity", qeIdentity),
    ];
  } catch (error) {
    throw refusal("COLLATERAL_MALFORMED", error);
  }
}

/** Which document a JSON text is, by its members. */
export function documentKind(bytes: Uint8Array): "tcb-info" | "qe-identity" | undefined {
  const fields = new Fields(parse(bytes));
  // Stored collateral has members of the same names.
  if (fields.has("format")) return undefined;
  if (fields.has("tcbInfo")) return "tcb-info";
  return fields.has("enclaveIdentity") ? "qe-identity" : undefined;
}

function platformLevel(entry: TcbLevel): Details {
  const { status, date, pceSvn, sgxComponents, tdxComponents, advisoryIds } = entry;
  const components = { pceSvn, sgxComponents, ...(tdxComponents && { tdxComponents }) };
  return { status, date: day(date), ...components, advisories: advisoryIds };
}

function body(bytes: Uint8Array, name: string): Fields {
  return new Fields(parse(bytes)).object(name);
}

function parse(bytes: Uint8Array): JsonValue {
  return parseStrictJson(fromUtf8(bytes) ?? "");
}

function documentItem(
  name: "tcbInfo" | "qeIdentity",
  { validity, evaluationDataNumber }: DocumentDates,
): CollateralItem {
  return { name, issuedAt: validity.from, nextUpdate: validity.until, number: BigInt(evaluationDataNumber) };
}

function crlItem(name: "rootCaCrl" | "pckCrl", der: Uint8Array): CollateralItem {
  const crl = parseCrl(der);
  const number = findExtension(crl, EXTENSION_OID.crlNumber);
  if (crl.nextUpdate === undefined || number === undefined) throw refusal("COLLATERAL_MALFORMED");
  return { name, issuedAt: crl.thisUpdate, nextUpdate: crl.nextUpdate, number: readCrlNumber(number.value) };
}

function dates({ validity, evaluationDataNumber }: DocumentDates): Details {
  return {
    issueDate: validity.from.toISOString(),
    nextUpdate: validity.until.toISOString(),
    tcbEvaluationDataNumber: evaluationDataNumber,
  };
}

function level({ isvSvn, status, date, advisoryIds }: IsvLevel): Details {
  return { isvSvn, status, date: day(date), advisories: advisoryIds };
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
