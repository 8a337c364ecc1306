import type { Fields } from "./fields.ts";
import { FieldError } from "./fields.ts";
import { readDates, type DocumentDates } from "./signed-document.ts";
import { readIsvLevels, type IsvLevel } from "./tcb-info.ts";

/** Enclaves of Intel's that have identities. */
type EnclaveId = "QE" | "TD_QE" | "QVE" | "QAE";

/** QE identity, version 2 (dcap.md C.4). Masked fields are compared as `(value & mask) === expected`. */
export interface QeIdentity extends DocumentDates {
  readonly id: EnclaveId;
  /** 4 bytes each. */
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  /** 16 bytes each. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  /** Newest first. */
  readonly levels: readonly IsvLevel[];
}

/** Reads the signed body of an enclave identity. Throws `FieldError`. */
export function readQeIdentity(body: Fields): QeIdentity {
  if (body.unsigned("version", 0xffff) !== 2) throw new FieldError("not a known version");
  return {
    ...readDates(body),
    id: body.word("id", ["QE", "TD_QE", "QVE", "QAE"]),
    miscSelect: body.hex("miscselect", 4),
    miscSelectMask: body.hex("miscselectMask", 4),
    attributes: body.hex("attributes", 16),
    attributesMask: body.hex("attributesMask", 16),
    mrSigner: body.hex("mrsigner", 32),
    isvProdId: body.unsigned("isvprodid", 0xffff),
    levels: readIsvLevels(body),
  };
}
