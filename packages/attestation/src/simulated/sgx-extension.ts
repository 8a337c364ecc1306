import { boolean, enumerated, integer, octetString, oid, sequence } from "@cloister/encoding/der-writer";
import type { PckCa } from "./authority.ts";
import { componentSvns, PCE_SVN, type SimulatedTcbLevel } from "./tcb-levels.ts";

const SGX = "1.2.840.113741.1.13.1";
const TYPE_STANDARD = 0;
const TYPE_SCALABLE = 1;

/** What stays the same for a platform at every TCB level. */
export interface PlatformIds {
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 16 bytes; only in the platform form. */
  readonly platformInstanceId: Uint8Array;
}

/** Value of the SGX extension of a PCK certificate: 5 items for a processor CA, 7 for a platform CA. */
export function sgxExtension(ids: PlatformIds, pckCa: PckCa, level: SimulatedTcbLevel): Uint8Array {
  const items = [
    item("1", octetString(ids.ppid)),
    item("2", tcb(level)),
    item("3", octetString(ids.pceId)),
    item("4", octetString(ids.fmspc)),
    item("5", enumerated(pckCa === "platform" ? TYPE_SCALABLE : TYPE_STANDARD)),
  ];
  if (pckCa === "processor") return sequence(...items);
  const configuration = sequence(
    item("7.1", boolean(true)), // dynamic platform
    item("7.2", boolean(false)), // cached keys
    item("7.3", boolean(false)), // simultaneous multithreading
  );
  return sequence(...items, item("6", octetString(ids.platformInstanceId)), item("7", configuration));
}

function tcb(level: SimulatedTcbLevel): Uint8Array {
  const svns = componentSvns(level);
  const components = Array.from(svns, (svn, index) => item(`2.${index + 1}`, integer(svn)));
  return sequence(...components, item("2.17", integer(PCE_SVN)), item("2.18", octetString(svns)));
}

function item(suffix: string, value: Uint8Array): Uint8Array {
  return sequence(oid(`${SGX}.${suffix}`), value);
}
