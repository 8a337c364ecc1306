import { fromHex, fromUtf8 } from "@cloister/encoding";
import { parseStrictJson } from "@cloister/encoding/canonical-json";
import type { Certificate } from "@cloister/encoding/x509";
import type { DocumentName } from "../appraisal/appraisal-codes.ts";
import { timeFault, type Validity } from "../chain/validity.ts";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import { verifySignature, type Steps } from "../appraisal/steps.ts";
import { Fields } from "./fields.ts";
import { valueRange } from "./value-range.ts";

const MAX_DOCUMENT_BYTES = 1 << 20;
const MAX_DEPTH = 32;

/** Name of the signed member of each document. */
const BODY: Readonly<Record<DocumentName, string>> = { TCB_INFO: "tcbInfo", QE_IDENTITY: "enclaveIdentity" };

/** What every signed document has. */
export interface DocumentDates {
  readonly validity: Validity;
  readonly evaluationDataNumber: number;
}

/**
 * Verifies `{"<body>":{...},"signature":"hex"}` by its signer and reads the body: strict JSON, exactly these two members,
 * the signature over the exact bytes of the body as served (dcap.md C.4). Throws `AttestationError` *_MALFORMED or
 * *_SIGNATURE_INVALID. Dates are compared by `checkDocumentTime`.
 */
export function* recallDocument<T>(
  memory: Memory,
  name: DocumentName,
  bytes: Uint8Array,
  signer: Certificate,
  read: (body: Fields) => T,
): Steps<T> {
  const inputs = [bytes, signer.raw];
  return yield* memory.recall(`document/${name}`, inputs, () => readDocument(name, bytes, signer, read));
}

function* readDocument<T>(
  name: DocumentName,
  bytes: Uint8Array,
  signer: Certificate,
  read: (body: Fields) => T,
): Steps<T> {
  const { fields, signed, signature } = split(name, bytes);
  const fits = signature?.length === 64;
  if (!fits || !(yield* verifySignature(signer.publicKey, signed, signature))) {
    throw refusal(`${name}_SIGNATURE_INVALID`);
  }
  try {
    return read(fields.object(BODY[name]));
  } catch (error) {
    throw refusal(`${name}_MALFORMED`, error);
  }
}

/** Dates and evaluation number of a body. */
export function readDates(body: Fields): DocumentDates {
  const validity = { from: body.date("issueDate"), until: body.date("nextUpdate") };
  return { validity, evaluationDataNumber: body.unsigned("tcbEvaluationDataNumber", 0xffffffff) };
}

/** Throws `AttestationError` *_EXPIRED or *_NOT_YET_VALID. */
export function checkDocumentTime(name: DocumentName, { validity }: DocumentDates, time: Date): void {
  const fault = timeFault(validity, time);
  if (fault !== undefined) throw refusal(`${name}_${fault}`);
}

interface Parts {
  readonly fields: Fields;
  readonly signed: Uint8Array;
  /** `undefined` where it is not hex. */
  readonly signature: Uint8Array | undefined;
}

function split(name: DocumentName, bytes: Uint8Array): Parts {
  try {
    const text = bytes.length > MAX_DOCUMENT_BYTES ? undefined : fromUtf8(bytes);
    if (text === undefined) throw refusal(`${name}_MALFORMED`);
    const value = parseStrictJson(text, { maxLength: MAX_DOCUMENT_BYTES, maxDepth: MAX_DEPTH });
    const fields = new Fields(value);
    const signed = valueRange(bytes, BODY[name]);
    const hex = fields.string("signature");
    if (signed === undefined || memberCount(value) !== 2) throw refusal(`${name}_MALFORMED`);
    return { fields, signed, signature: fromHex(hex) };
  } catch (error) {
    throw refusal(`${name}_MALFORMED`, error);
  }
}

function memberCount(value: unknown): number {
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}
