import { toHex } from "@cloister/encoding";
import { EXTENSION_OID, findExtension, readCrlNumber } from "@cloister/encoding/x509";
import type { Certificate, CertificateRevocationList } from "@cloister/encoding/x509";
import { readPckExtension } from "../chain/pck-extension.ts";
import { SGX_EXTENSION_OID } from "../chain/profile.ts";
import { nameText, type Detail } from "./inspection.ts";

type Details = { readonly [name: string]: Detail };

const SHOWN_SERIALS = 20;

/** What every certificate has, and the SGX extension of a PCK certificate. */
export function describeCertificate(certificate: Certificate): Details {
  return {
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    serial: certificate.serial,
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    signatureAlgorithm: certificate.signatureAlgorithm.oid,
    ...(isPck(certificate) && { sgx: describeSgxExtension(certificate) }),
  };
}

export function isPck(certificate: Certificate): boolean {
  return findExtension(certificate, SGX_EXTENSION_OID) !== undefined;
}

/** A revocation list; of many revoked serials the first ones. */
export function describeCrl(crl: CertificateRevocationList): Details {
  const number = findExtension(crl, EXTENSION_OID.crlNumber);
  const serials = [...crl.revokedSerials];
  return {
    issuer: nameText(crl.issuer),
    thisUpdate: crl.thisUpdate.toISOString(),
    nextUpdate: crl.nextUpdate?.toISOString() ?? null,
    number: number === undefined ? null : String(readCrlNumber(number.value)),
    revoked: serials.length,
    serials: serials.slice(0, SHOWN_SERIALS),
  };
}

function describeSgxExtension(certificate: Certificate): Detail {
  try {
    const { ppid, tcb, pceId, fmspc, sgxType, platformInstanceId, flags } = readPckExtension(certificate);
    return {
      fmspc: toHex(fmspc),
      pceId: toHex(pceId),
      ppid: toHex(ppid),
      sgxType,
      components: tcb.components,
      pceSvn: tcb.pceSvn,
      ...(platformInstanceId && { platformInstanceId: toHex(platformInstanceId) }),
      ...(flags && { flags: { ...flags } }),
    };
  } catch {
    return "cannot be read";
  }
}
