import { createHash, sign } from "node:crypto";
import { concatBytes, utf8 } from "@cloister/encoding";
import type { KeyPair } from "./authority.ts";
import { sgxReport } from "./sgx-report.ts";
import { qeIsvSvn, type SimulatedQeLevel } from "./tcb-levels.ts";

export type SimulatedTee = "sgx" | "tdx";

/** What the QE identity says of the quoting enclave of a TEE. */
interface QuotingEnclave {
  readonly id: "QE" | "TD_QE";
  readonly isvProdId: number;
  readonly mrenclave: Uint8Array;
  readonly mrsigner: Uint8Array;
}

// INIT and PROVISION_KEY, without MODE64BIT, as Intel's quoting enclaves are identified by 11..00 under FB FF...
const QE_ATTRIBUTE_FLAGS = 0x15n;
const QE_AUTHENTICATION_DATA = new Uint8Array(32).fill(0x51);

export function quotingEnclave(tee: SimulatedTee): QuotingEnclave {
  return {
    id: tee === "tdx" ? "TD_QE" : "QE",
    isvProdId: tee === "tdx" ? 2 : 1,
    mrenclave: sha256(utf8(`cloister simulated quoting enclave ${tee}`)),
    mrsigner: sha256(utf8("cloister simulated quoting enclave signer")),
  };
}

/** QE report, its signature by the PCK key, and the authentication data with its length: they stand together in a quote. */
export function certifyAttestationKey(
  tee: SimulatedTee,
  options: { attestationKey: Uint8Array; pck: KeyPair; cpuSvn: Uint8Array; level: SimulatedQeLevel },
): Uint8Array {
  const { attestationKey, pck, cpuSvn, level } = options;
  const binding = sha256(concatBytes(attestationKey, QE_AUTHENTICATION_DATA));
  const { mrenclave, mrsigner, isvProdId } = quotingEnclave(tee);
  const report = sgxReport({
    cpuSvn,
    attributeFlags: QE_ATTRIBUTE_FLAGS,
    mrenclave,
    mrsigner,
    isvProdId,
    isvSvn: qeIsvSvn(level),
    reportData: concatBytes(binding, new Uint8Array(32)),
  });
  return concatBytes(report, rawSignature(report, pck), Uint8Array.of(32, 0), QE_AUTHENTICATION_DATA);
}

/** ECDSA with SHA-256 as quotes carry it: r and s, 32 bytes each, big endian. */
export function rawSignature(bytes: Uint8Array, { privateKey }: KeyPair): Uint8Array {
  return new Uint8Array(sign("sha256", bytes, { key: privateKey, dsaEncoding: "ieee-p1363" }));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
