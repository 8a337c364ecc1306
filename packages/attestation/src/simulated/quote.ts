import { concatBytes, fromHex, toHex, utf8 } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import type { Authority, Identity, KeyPair } from "./authority.ts";
import { certifyAttestationKey, rawSignature, type SimulatedTee } from "./quoting-enclave.ts";
import { PCE_SVN, qeIsvSvn, type SimulatedQeLevel } from "./tcb-levels.ts";

// The verifier and Intel's library insist on this value; that the quote is simulated stands in the user data and the names.
const INTEL_QE_VENDOR_ID = fromHex("939a7233f79c4ca9940a0db3957f0607") ?? new Uint8Array();
const QE_ID = utf8("SIMULATED QE    ");
const ATTESTATION_KEY_ECDSA_P256 = 2;
const TEE_TYPE = { sgx: 0, tdx: 0x81 } as const;
const CERTIFICATION_QE_REPORT = 6;
const CERTIFICATION_PCK_CHAIN = 5;
/** Body types of a version 5 quote by size. */
const BODY_TYPE: ReadonlyMap<number, number> = new Map([
  [384, 1],
  [584, 2],
  [648, 3],
]);

export interface QuoteSigner {
  readonly authority: Authority;
  readonly pck: Identity;
  readonly attestationKey: KeyPair;
  readonly cpuSvn: Uint8Array;
  readonly qeLevel: SimulatedQeLevel;
  /** A quoting enclave has its key certified once and keeps what it got: by TEE and levels, filled here. */
  readonly certified: Map<string, Uint8Array>;
}

/** A signed quote over a report body: version 3 (SGX only), 4 or 5 (Intel DCAP, quote format). */
export function signQuote(version: 3 | 4 | 5, tee: SimulatedTee, body: Uint8Array, signer: QuoteSigner): Uint8Array {
  const descriptor =
    version === 5 ? concatBytes(uint16(BODY_TYPE.get(body.length) ?? 0), uint32(body.length)) : new Uint8Array();
  const toBeSigned = concatBytes(quoteHeader(version, tee, signer.qeLevel), descriptor, body);
  const signatureData = quoteSignatureData(version, tee, toBeSigned, signer);
  return concatBytes(toBeSigned, uint32(signatureData.length), signatureData);
}

function quoteHeader(version: 3 | 4 | 5, tee: SimulatedTee, qeLevel: SimulatedQeLevel): Uint8Array {
  // Version 3 tells the SVNs of the quoting and provisioning enclaves here; later versions have reserved bytes.
  const svns = version === 3 ? concatBytes(uint16(qeIsvSvn(qeLevel)), uint16(PCE_SVN)) : new Uint8Array(4);
  return concatBytes(
    uint16(version),
    uint16(ATTESTATION_KEY_ECDSA_P256),
    uint32(TEE_TYPE[tee]),
    svns,
    INTEL_QE_VENDOR_ID,
    QE_ID,
    new Uint8Array(4),
  );
}

function quoteSignatureData(
  version: 3 | 4 | 5,
  tee: SimulatedTee,
  signed: Uint8Array,
  signer: QuoteSigner,
): Uint8Array {
  const attestationKey = rawPublicKey(signer.attestationKey);
  const { pck, authority } = signer;
  const qe = recallCertified(tee, attestationKey, signer);
  const chain = [pck.der, authority.intermediate.der, authority.root.der].map((der) => encodePem("CERTIFICATE", der));
  // Real quotes end the chain with a NUL.
  const certification = certificationData(CERTIFICATION_PCK_CHAIN, utf8(`${chain.join("")}\0`));
  const certified = concatBytes(qe, certification);
  const outer = version === 3 ? certified : certificationData(CERTIFICATION_QE_REPORT, certified);
  return concatBytes(rawSignature(signed, signer.attestationKey), attestationKey, outer);
}

function recallCertified(tee: SimulatedTee, attestationKey: Uint8Array, signer: QuoteSigner): Uint8Array {
  const { pck, cpuSvn, qeLevel, certified } = signer;
  const name = `${tee} ${toHex(cpuSvn)} ${qeLevel}`;
  const made = certified.get(name) ?? certifyAttestationKey(tee, { attestationKey, pck, cpuSvn, level: qeLevel });
  certified.set(name, made);
  return made;
}

function certificationData(type: number, data: Uint8Array): Uint8Array {
  return concatBytes(uint16(type), uint32(data.length), data);
}

/** x and y of a P-256 key, 32 bytes each. */
function rawPublicKey({ publicKey }: KeyPair): Uint8Array {
  const spki = publicKey.export({ type: "spki", format: "der" });
  return new Uint8Array(spki.subarray(-64));
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
