import { createHash } from "node:crypto";
import { fromUtf8, toHex } from "@cloister/encoding";
import { type JsonValue, parseStrictJson } from "@cloister/encoding/canonical-json";
import { parsePem } from "@cloister/encoding/pem";
import { parseCertificate } from "@cloister/encoding/x509";
import { appraise } from "../appraisal/appraise.ts";
import type { TcbStatus } from "../appraisal/claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { FieldError, Fields } from "../documents/fields.ts";
import { AttestationError, refusal, type AttestationErrorCode } from "../errors.ts";
import { INTEL_ROOT_SPKI_SHA256, type TrustAnchor } from "../appraisal/trust-anchor.ts";
import { applyPatch, PatchError, type ReadRole } from "./patch.ts";

/** Files of a bundle (README of the vectors, "A bundle's files"). */
const ROLES = [
  "quote",
  "tcb_info",
  "tcb_info_issuer_chain",
  "qe_identity",
  "qe_identity_issuer_chain",
  "root_ca_crl",
  "pck_crl",
  "pck_crl_issuer_chain",
  "root_ca",
] as const;
type Role = (typeof ROLES)[number];

/** What happened to one case. `unsupported`: the case itself cannot be run. `crashed`: something else than a refusal. */
export interface VectorOutcome {
  readonly id: string;
  readonly verdict: "verified" | "rejected" | "unsupported" | "crashed";
  readonly code: AttestationErrorCode | "CASE_UNSUPPORTED" | "INTERNAL_ERROR" | null;
  readonly tcbStatus: TcbStatus | null;
  readonly advisoryIDs: readonly string[];
}

/** The cases of an index and where the bundles' files are. */
export interface VectorIndex {
  /** As they stand: `runVector` says which of them cannot be run. */
  readonly cases: readonly JsonValue[];
  /** Path of a bundle's file inside the folder, `undefined` where it has none. Throws `PatchError` for an unknown bundle. */
  path(bundle: string, role: string): string | undefined;
}

const MAX_INDEX_LENGTH = 1 << 26;

/** Reads `index.json` of a folder of vectors. Throws `EncodingError` or `FieldError` where it is not in that format. */
export function parseVectorIndex(text: string): VectorIndex {
  const index = new Fields(parseStrictJson(text, { maxLength: MAX_INDEX_LENGTH, allowAnyNumber: true }));
  const bundles = index.object("bundles");
  return {
    cases: index.values("cases"),
    path: (bundle, role) => {
      if (!bundles.has(bundle)) throw new PatchError("unknown bundle");
      const files = bundles.object(bundle).object("files");
      return files.has(role) ? files.object(role).string("path") : undefined;
    },
  };
}

/** Runs one case. `readRole` gives a bundle's files. Never throws for what a case holds. */
export function runVector(value: JsonValue, readRole: ReadRole): VectorOutcome {
  const id = idOf(value);
  const refused = (verdict: VectorOutcome["verdict"], code: VectorOutcome["code"]): VectorOutcome => {
    return { id, verdict, code, tcbStatus: null, advisoryIDs: [] };
  };
  try {
    const { quote, collateral, anchors, time } = vectorInputs(value, readRole);
    const { tcb } = appraise({ quote }, collateral, anchors, time);
    return { id, verdict: "verified", code: null, tcbStatus: tcb.status, advisoryIDs: tcb.advisoryIds };
  } catch (error) {
    if (error instanceof AttestationError) return refused("rejected", error.code);
    // A field of the case is missing; `appraise` lets no such error out.
    if (error instanceof PatchError || error instanceof FieldError) return refused("unsupported", "CASE_UNSUPPORTED");
    return refused("crashed", "INTERNAL_ERROR");
  }
}

/** What the appraisal of a case gets. */
export interface VectorInputs {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  readonly anchors: readonly TrustAnchor[];
  readonly time: Date;
}

/** Throws `PatchError`, `FieldError`, or `AttestationError` ANCHOR_MALFORMED. */
export function vectorInputs(value: JsonValue, readRole: ReadRole): VectorInputs {
  const vector = new Fields(value);
  const files = patchedFiles(vector, readRole);
  const time = new Date(vector.number("time") * 1000);
  const bytes = (role: Role): Uint8Array => files.get(role) ?? new Uint8Array();
  const text = (role: Role): string => new TextDecoder().decode(bytes(role));
  const collateral = {
    tcbInfo: bytes("tcb_info"),
    tcbInfoIssuerChain: text("tcb_info_issuer_chain"),
    qeIdentity: bytes("qe_identity"),
    qeIdentityIssuerChain: text("qe_identity_issuer_chain"),
    rootCaCrl: bytes("root_ca_crl"),
    pckCrl: bytes("pck_crl"),
    pckCrlIssuerChain: text("pck_crl_issuer_chain"),
  };
  return { quote: bytes("quote"), collateral, anchors: [readAnchor(bytes("root_ca"))], time };
}

function idOf(value: JsonValue): string {
  try {
    return new Fields(value).string("id");
  } catch {
    return "";
  }
}

function patchedFiles(vector: Fields, readRole: ReadRole): ReadonlyMap<Role, Uint8Array> {
  const bundle = vector.string("bundle");
  const files = new Map(ROLES.map((role) => [role, readRole(bundle, role)]));
  for (const patch of vector.has("patch") ? vector.objects("patch", 0) : []) {
    const name = patch.string("file");
    const role = ROLES.find((candidate) => candidate === name);
    if (role === undefined) throw new PatchError("a patch is for an unknown role");
    files.set(role, applyPatch(files.get(role) ?? new Uint8Array(), patch, readRole));
  }
  return files;
}

/** Intel's key makes an Intel anchor, any other a simulated one. */
function readAnchor(pem: Uint8Array): TrustAnchor {
  try {
    const [certificate, ...others] = parsePem(fromUtf8(pem) ?? "", "CERTIFICATE");
    if (certificate === undefined || others.length > 0) throw refusal("ANCHOR_MALFORMED");
    const { spki } = parseCertificate(certificate);
    const isIntel = toHex(createHash("sha256").update(spki).digest()) === INTEL_ROOT_SPKI_SHA256;
    return { name: "vector root", kind: isIntel ? "intel" : "simulated", certificate };
  } catch (error) {
    throw refusal("ANCHOR_MALFORMED", error);
  }
}
