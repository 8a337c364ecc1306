import assert from "node:assert/strict";
import { createHash, type KeyObject, sign } from "node:crypto";
import { concatBytes, toHex, utf8 } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type CertificateFields, type RawExtension } from "@cloister/encoding/x509-builder";
import { parseQuote } from "../quote/quote.ts";
import { type Identity, issueCrl, type PckCa } from "../simulated/authority.ts";
import { createSimulatedPlatform, type SimulatedPlatform } from "../simulated/index.ts";
import { type PlatformIds, sgxExtension } from "../simulated/sgx-extension.ts";
import { decodeState, type PlatformState } from "../simulated/state.ts";

// A simulated platform with its keys at hand, to sign what no honest platform and no honest service would sign.

const ENCLAVE = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32), reportData: new Uint8Array(64) };
const TD = { mrtd: new Uint8Array(48), reportData: new Uint8Array(64) };
/** Signature and attestation key, after the length of the signature data. */
const SIGNATURE_AND_KEY_BYTES = 128;
const CERTIFICATION_HEAD_BYTES = 6;
const QE_REPORT_BYTES = 384;
const SGX_EXTENSION = "1.2.840.113741.1.13.1";

type Edit = (bytes: Uint8Array) => void;

export class Workshop {
  readonly platform: SimulatedPlatform;
  readonly sgx: Uint8Array;
  readonly tdx: Uint8Array;
  /** Version 5 with a TDX 1.5 report. */
  readonly tdx15: Uint8Array;
  readonly #state: PlatformState;
  readonly #pck: Identity;

  constructor(now: Date) {
    this.platform = createSimulatedPlatform({ now });
    this.sgx = this.platform.quote(ENCLAVE);
    this.tdx = this.platform.tdQuote(TD);
    this.tdx15 = this.platform.tdQuote({ ...TD, version: 5, form: "1.5" });
    this.#state = decodeState(this.platform.save());
    this.#pck = this.#state.pcks.get("UpToDate") ?? assert.fail("a quote needs a PCK certificate");
  }

  /** A quote whose signed part was changed before it was signed. */
  signed(quote: Uint8Array, edit: Edit): Uint8Array {
    const { end } = layout(quote);
    const changed = quote.slice();
    edit(changed.subarray(0, end));
    changed.set(rawSignature(changed.subarray(0, end), this.#state.attestationKey.privateKey), end + 4);
    return changed;
  }

  /** A quote signed over what `range` makes of its signed part, by the attestation key or another. */
  signedOver(quote: Uint8Array, range: (end: number) => [number, number], key?: KeyObject): Uint8Array {
    const { end } = layout(quote);
    const changed = quote.slice();
    changed.set(rawSignature(quote.subarray(...range(end)), key ?? this.#state.attestationKey.privateKey), end + 4);
    return changed;
  }

  /** A quote with other bytes in place of its signature. */
  withSignature(quote: Uint8Array, edit: Edit): Uint8Array {
    const { end } = layout(quote);
    const changed = quote.slice();
    edit(changed.subarray(end + 4, end + 4 + 64));
    return changed;
  }

  /** A quote whose quoting enclave's report was changed before the PCK key signed it. */
  withQeReport(quote: Uint8Array, edit: Edit): Uint8Array {
    const at = layout(quote).qeReport;
    const changed = quote.slice();
    const report = changed.subarray(at, at + QE_REPORT_BYTES);
    edit(report);
    changed.set(rawSignature(report, this.#pck.privateKey), at + QE_REPORT_BYTES);
    return changed;
  }

  /** An SGX quote with other authentication data of the quoting enclave, rightly bound. */
  withAuthData(authData: Uint8Array): Uint8Array {
    const { end, qeReport } = layout(this.sgx);
    const key = this.sgx.subarray(end + 4 + 64, end + 4 + SIGNATURE_AND_KEY_BYTES);
    const bound = this.withQeReport(this.sgx, (report) => {
      report.set(createHash("sha256").update(concatBytes(key, authData)).digest(), 320);
    });
    const authAt = qeReport + QE_REPORT_BYTES + 64;
    const size = Uint8Array.of(authData.length & 0xff, authData.length >> 8);
    const after = bound.subarray(authAt + 2 + ((bound[authAt] ?? 0) | ((bound[authAt + 1] ?? 0) << 8)));
    return withLength(concatBytes(bound.subarray(0, authAt), size, authData, after));
  }

  /** An SGX quote under another certificate of the platform's PCK key, which its CA signed with these fields changed. */
  withLeaf(changes: Partial<CertificateFields> = {}): Uint8Array {
    const { authority, ids } = this.#state;
    const { name, publicKey, serial } = this.#pck;
    const fields: CertificateFields = {
      ...authority.validity,
      subject: name,
      publicKey,
      serial,
      basicConstraints: { ca: false },
      keyUsage: ["digitalSignature", "nonRepudiation"],
      crlDistributionPoints: ["https://simulated.invalid/pckcrl"],
      extraExtensions: [this.sgxExtension(ids)],
      ...changes,
    };
    const certificates = [
      buildCertificate(fields, authority.intermediate),
      authority.intermediate.der,
      authority.root.der,
    ];
    const chain = utf8(certificates.map((der) => encodePem("CERTIFICATE", der)).join(""));
    const at = this.sgx.length - parseQuote(this.sgx).signatureData.pckChain.length;
    const changed = concatBytes(this.sgx.subarray(0, at), chain);
    new DataView(changed.buffer).setUint32(at - 4, chain.length, true);
    return withLength(changed);
  }

  /** The SGX extension of a PCK certificate of a Platform CA; `ids` replace the platform's. */
  sgxExtension(ids: Partial<PlatformIds>, pckCa: PckCa = "platform"): RawExtension {
    return { id: SGX_EXTENSION, value: sgxExtension({ ...this.#state.ids, ...ids }, pckCa, "UpToDate") };
  }

  /** A revocation list of one of the platform's CAs with these serial numbers on it. */
  crl(ca: "root" | "intermediate", serials: readonly Uint8Array[], issuedAt: Date): Uint8Array {
    return issueCrl(this.#state.authority[ca], serials, issuedAt, 30);
  }

  get pckSerial(): Uint8Array {
    return this.#pck.serial;
  }

  get pckKey(): KeyObject {
    return this.#pck.privateKey;
  }

  /** A TCB info or QE identity whose text was changed before the service signed it. */
  document(document: Uint8Array, edit: (body: string) => string, signer?: KeyObject): Uint8Array {
    const text = new TextDecoder().decode(document);
    const [, member = "", body = ""] = /^\{"(\w+)":(.*),"signature":"[0-9a-f]{128}"\}$/.exec(text) ?? [];
    const changed = edit(body);
    const signature = rawSignature(utf8(changed), signer ?? this.#state.authority.tcbSigner.privateKey);
    return utf8(`{"${member}":${changed},"signature":"${toHex(signature)}"}`);
  }
}

interface Layout {
  /** Where the signed part ends and the length of the signature data stands. */
  readonly end: number;
  readonly qeReport: number;
}

function layout(quote: Uint8Array): Layout {
  const view = new DataView(quote.buffer, quote.byteOffset);
  const version = view.getUint16(0, true);
  const isTdx = quote[4] === 0x81;
  const end = version === 5 ? 54 + view.getUint32(50, true) : isTdx ? 632 : 432;
  return { end, qeReport: end + 4 + SIGNATURE_AND_KEY_BYTES + (version === 3 ? 0 : CERTIFICATION_HEAD_BYTES) };
}

/** A version 3 quote with its signature data's length put right. */
function withLength(quote: Uint8Array): Uint8Array {
  const { end } = layout(quote);
  new DataView(quote.buffer).setUint32(end, quote.length - end - 4, true);
  return quote;
}

function rawSignature(bytes: Uint8Array, key: KeyObject): Uint8Array {
  return new Uint8Array(sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" }));
}
