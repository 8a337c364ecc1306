import { DER_TAG, readDer, type DerReader } from "@cloister/encoding/der";
import { findExtension, type Certificate } from "@cloister/encoding/x509";
import type { PlatformFlags, SgxType } from "../appraisal/claims.ts";
import { refusal } from "../errors.ts";
import { SGX_EXTENSION_OID } from "./profile.ts";

const COMPONENTS = 16;
const SGX_TYPES: readonly SgxType[] = ["standard", "scalable", "scalable-with-integrity"];

/** SVNs that the PCK certificate vouches for. */
export interface PlatformTcb {
  /** 16 of 0 to 255. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  /** 16 bytes, for information: the components decide. */
  readonly cpuSvn: Uint8Array;
}

/** The SGX extension of a PCK certificate (dcap.md C.3). */
export interface PckExtension {
  readonly ppid: Uint8Array;
  readonly tcb: PlatformTcb;
  readonly pceId: Uint8Array;
  readonly fmspc: Uint8Array;
  readonly sgxType: SgxType;
  readonly platformInstanceId?: Uint8Array;
  readonly flags?: PlatformFlags;
}

/**
 * Reads the SGX extension: 5 items, or 7 in certificates of the Platform CA, each once, in ascending or any other order.
 * Throws `AttestationError` PCK_EXTENSION_MALFORMED.
 */
export function readPckExtension(certificate: Pick<Certificate, "extensions">): PckExtension {
  const extension = findExtension(certificate, SGX_EXTENSION_OID);
  if (extension === undefined) throw refusal("PCK_EXTENSION_MALFORMED");
  try {
    return readItems(items(readDer(extension.value), SGX_EXTENSION_OID));
  } catch (error) {
    throw refusal("PCK_EXTENSION_MALFORMED", error);
  }
}

function readItems(found: ReadonlyMap<number, DerReader>): PckExtension {
  if (found.size !== 5 && found.size !== 7) throw refusal("PCK_EXTENSION_MALFORMED");
  const extension = {
    ppid: octets(found.get(1), 16),
    tcb: readTcb(found.get(2)),
    pceId: octets(found.get(3), 2),
    fmspc: octets(found.get(4), 6),
    sgxType: readSgxType(found.get(5)),
  };
  if (found.size === 5) return extension;
  return { ...extension, platformInstanceId: octets(found.get(6), 16), flags: readFlags(found.get(7)) };
}

function readTcb(value: DerReader | undefined): PlatformTcb {
  const found = items(value, `${SGX_EXTENSION_OID}.2`);
  if (found.size !== COMPONENTS + 2) throw refusal("PCK_EXTENSION_MALFORMED");
  const components = Array.from({ length: COMPONENTS }, (_, index) => number(found.get(index + 1), 0xff));
  return { components, pceSvn: number(found.get(17), 0xffff), cpuSvn: octets(found.get(18), 16) };
}

function readSgxType(value: DerReader | undefined): SgxType {
  const type = SGX_TYPES[number(value, SGX_TYPES.length - 1, DER_TAG.enumerated)];
  if (type === undefined) throw refusal("PCK_EXTENSION_MALFORMED");
  return type;
}

function readFlags(value: DerReader | undefined): PlatformFlags {
  const found = items(value, `${SGX_EXTENSION_OID}.7`);
  if (found.size !== 3) throw refusal("PCK_EXTENSION_MALFORMED");
  return {
    dynamicPlatform: boolean(found.get(1)),
    cachedKeys: boolean(found.get(2)),
    smtEnabled: boolean(found.get(3)),
  };
}

/** SEQUENCE OF SEQUENCE { OID, value }: readers at the values, by the last arc of the OID. */
function items(value: DerReader | undefined, prefix: string): ReadonlyMap<number, DerReader> {
  if (value === undefined) throw refusal("PCK_EXTENSION_MALFORMED");
  const list = value.sequence();
  value.end();
  const found = new Map<number, DerReader>();
  while (!list.atEnd) {
    const item = list.sequence();
    const oid = item.oid();
    const arc = oid.startsWith(`${prefix}.`) ? Number(oid.slice(prefix.length + 1)) : Number.NaN;
    if (!Number.isInteger(arc) || found.has(arc)) throw refusal("PCK_EXTENSION_MALFORMED");
    found.set(arc, item);
  }
  return found;
}

function octets(value: DerReader | undefined, length: number): Uint8Array {
  const bytes = value?.octetString();
  value?.end();
  if (bytes?.length !== length) throw refusal("PCK_EXTENSION_MALFORMED");
  return bytes;
}

function number(value: DerReader | undefined, max: number, tag: number = DER_TAG.integer): number {
  const result = value?.unsigned(max, tag);
  value?.end();
  if (result === undefined) throw refusal("PCK_EXTENSION_MALFORMED");
  return result;
}

function boolean(value: DerReader | undefined): boolean {
  const result = value?.boolean();
  value?.end();
  if (result === undefined) throw refusal("PCK_EXTENSION_MALFORMED");
  return result;
}
