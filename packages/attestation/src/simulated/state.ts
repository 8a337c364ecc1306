import { createPrivateKey, createPublicKey } from "node:crypto";
import { fromHex, fromUtf8, Secret, toHex, utf8 } from "@cloister/encoding";
import { canonicalJson, parseCanonicalJson, type JsonObject, type JsonValue } from "@cloister/encoding/canonical-json";
import { simulatedName, type Authority, type Identity, type KeyPair, type PckCa } from "./authority.ts";
import type { PlatformIds } from "./sgx-extension.ts";
import { PLATFORM_LEVELS, type SimulatedTcbLevel } from "./tcb-levels.ts";

const TYPE = "cloister-simulated-platform/1";

/** Everything that makes a platform the same one after a restart. */
export interface PlatformState {
  readonly name: string;
  readonly now: Date;
  readonly authority: Authority;
  readonly ids: PlatformIds;
  readonly attestationKey: KeyPair;
  /** As on real machines, each TCB level has its own PCK. Made when first needed. */
  readonly pcks: Map<SimulatedTcbLevel, Identity>;
  readonly revokedByRoot: Uint8Array[];
  readonly revokedByPckCa: Uint8Array[];
}

/** The state with its private keys as canonical JSON. */
export function encodeState({ authority, ids, ...state }: PlatformState): Secret {
  const { pckCa, validity, root, intermediate, tcbSigner } = authority;
  const text = canonicalJson({
    type: TYPE,
    name: state.name,
    now: state.now.getTime(),
    pckCa,
    validity: [validity.notBefore.getTime(), validity.notAfter.getTime()],
    identities: [root, intermediate, tcbSigner].map(encodeIdentity),
    pcks: Object.fromEntries(Array.from(state.pcks, ([level, pck]) => [level, encodeIdentity(pck)])),
    ids: [ids.ppid, ids.pceId, ids.fmspc, ids.platformInstanceId].map(toHex),
    attestationKey: encodeKey(state.attestationKey),
    revokedByRoot: state.revokedByRoot.map(toHex),
    revokedByPckCa: state.revokedByPckCa.map(toHex),
  });
  return new Secret(utf8(text), "simulated platform");
}

/** Reads what `encodeState` wrote. Throws `EncodingError` or `TypeError` for anything else. */
export function decodeState(saved: Secret): PlatformState {
  const state = object(parseCanonicalJson(fromUtf8(saved.reveal()) ?? ""));
  if (state["type"] !== TYPE) throw wrongForm();
  const [notBefore, notAfter] = list(state["validity"]).map(date);
  const [root, intermediate, tcbSigner] = list(state["identities"]).map(decodeIdentity);
  const [ppid, pceId, fmspc, platformInstanceId] = list(state["ids"]).map(bytes);
  if (!notBefore || !notAfter || !root || !intermediate || !tcbSigner) throw wrongForm();
  if (!ppid || !pceId || !fmspc || !platformInstanceId) throw wrongForm();
  const validity = { notBefore, notAfter };
  const pcks = Object.entries(object(state["pcks"])).map(
    ([level, pck]) => [tcbLevel(level), decodeIdentity(pck)] as const,
  );
  return {
    name: text(state["name"]),
    now: date(state["now"]),
    authority: { pckCa: pckCa(state["pckCa"]), validity, root, intermediate, tcbSigner },
    ids: { ppid, pceId, fmspc, platformInstanceId },
    attestationKey: decodeKey(state["attestationKey"]),
    pcks: new Map(pcks),
    revokedByRoot: list(state["revokedByRoot"]).map(bytes),
    revokedByPckCa: list(state["revokedByPckCa"]).map(bytes),
  };
}

function encodeIdentity(identity: Identity): string[] {
  return [identity.commonName, toHex(identity.serial), toHex(identity.der), encodeKey(identity)];
}

function decodeIdentity(value: JsonValue | undefined): Identity {
  const [commonName, serial, der, key] = list(value);
  const name = text(commonName);
  return { commonName: name, name: simulatedName(name), serial: bytes(serial), der: bytes(der), ...decodeKey(key) };
}

function encodeKey({ privateKey }: KeyPair): string {
  return toHex(privateKey.export({ type: "pkcs8", format: "der" }));
}

function decodeKey(value: JsonValue | undefined): KeyPair {
  const privateKey = createPrivateKey({ key: Buffer.from(bytes(value)), type: "pkcs8", format: "der" });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function tcbLevel(value: string): SimulatedTcbLevel {
  const level = PLATFORM_LEVELS.find(({ status }) => status === value);
  if (level === undefined) throw wrongForm();
  return level.status;
}

function pckCa(value: JsonValue | undefined): PckCa {
  if (value !== "platform" && value !== "processor") throw wrongForm();
  return value;
}

function text(value: JsonValue | undefined): string {
  if (typeof value !== "string") throw wrongForm();
  return value;
}

function bytes(value: JsonValue | undefined): Uint8Array {
  const decoded = fromHex(text(value));
  if (decoded === undefined) throw wrongForm();
  return decoded;
}

function date(value: JsonValue | undefined): Date {
  if (typeof value !== "number") throw wrongForm();
  return new Date(value);
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  if (!Array.isArray(value)) throw wrongForm();
  return value as readonly JsonValue[];
}

function object(value: JsonValue | undefined): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongForm();
  return value as JsonObject;
}

function wrongForm(): TypeError {
  return new TypeError("not a saved simulated platform");
}
