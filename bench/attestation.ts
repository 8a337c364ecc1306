import { createPublicKey, verify } from "node:crypto";
import { toHex } from "@cloister/encoding";
import { appraise, createVerifier, type Collateral } from "@cloister/attestation";
import { verify as peerVerify, type Collateral as PeerCollateral } from "@phala/dcap-qvl";
import { appraiseOne } from "../packages/attestation/src/appraisal/appraise-core.ts";
import { derEcdsaSignature } from "../packages/attestation/src/appraisal/ecdsa-signature.ts";
import { Memory } from "../packages/attestation/src/appraisal/memory.ts";
import { NodeCrypto } from "../packages/attestation/src/appraisal/node-crypto.ts";
import { loadCase, type DcapBundle } from "../packages/attestation/src/rim/testing/dcap-bundle.ts";
import type { Steps } from "../packages/attestation/src/appraisal/steps.ts";
import type { BenchRow } from "./row.ts";

// Appraisals per second of CPU time, that is on one core of its own, however busy the machine is. `cold` verifies everything each
// time; `warm` remembers verified collateral. Beside them the floor (the ECDSA verifications of that appraisal alone, keys
// imported before) and @phala/dcap-qvl, which remembers nothing. All take turns. The other rows are in time by the clock, so
// they hold on an idle machine only: `cold p99` of one appraisal, and `longest block`, for how long `appraiseAsync` keeps the
// event loop from other work at a stretch, cold, at the 99th percentile of appraisals.

const CASES = { sgx: "sgx-00606a-2025-08/valid", tdx: "tdx4-20a06f-uptodate/valid" } as const;
const PEER = "@phala/dcap-qvl 0.3.9";
const ROUNDS = Number(process.env["CLOISTER_BENCH_ROUNDS"] ?? 9);
const ROUND_MS = 150;
const ASYNC_APPRAISALS = 200;
const WARM_UP_APPRAISALS = 50;

export async function run(): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [tee, id] of Object.entries(CASES)) {
    const bundle = loadCase(id);
    rows.push(...measure(tee, bundle), await measureBlocking(tee, bundle));
  }
  return rows;
}

async function measureBlocking(tee: string, { quote, collateral, anchors, time }: DcapBundle): Promise<BenchRow> {
  const longestMs: number[] = [];
  for (let count = -WARM_UP_APPRAISALS; count < ASYNC_APPRAISALS; count += 1) {
    const ms = await longestGapMs(() => createVerifier({ anchors }).appraiseAsync({ quote }, collateral, time));
    if (count >= 0) longestMs.push(ms);
  }
  const ours = percentile99(longestMs);
  return { case: `longest block (${tee})`, unit: "ms", ours, peer: 3, peerName: "aim", ratio: 3 / ours };
}

/** The longest time between two turns of the event loop while `work` goes on. */
async function longestGapMs(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  await work();
  clearImmediate(timer);
  return longest;
}

function measure(tee: string, bundle: DcapBundle): BenchRow[] {
  const evidence = { quote: bundle.quote };
  const { collateral, anchors, time } = bundle;
  const verifier = createVerifier({ anchors });
  const coldMemory = new Memory(64);
  const warmMemory = new Memory(64);
  const coldFloor = floor(appraiseOne(coldMemory, evidence, collateral, anchors, time));
  new NodeCrypto().run(appraiseOne(warmMemory, evidence, collateral, anchors, time));
  const warmFloor = floor(appraiseOne(warmMemory, evidence, collateral, anchors, time));
  const peerCollateral = toPeer(collateral);
  const nowSeconds = time.getTime() / 1000;

  const latenciesMs: number[] = [];
  const calls = {
    cold: () => timed(latenciesMs, () => appraise(evidence, collateral, anchors, time)),
    warm: () => verifier.appraise(evidence, collateral, time),
    coldFloor: coldFloor.check,
    warmFloor: warmFloor.check,
    peer: () => peerVerify(Buffer.from(bundle.quote), peerCollateral, nowSeconds),
  };
  for (const call of Object.values(calls)) ratePerSecond(call);
  // What the engine compiled during the first calls is no latency of the verifier's.
  latenciesMs.length = 0;
  const rates = takeTurns(calls);
  const row = (name: string, ours: number, peer: number, peerName: string): BenchRow => {
    return { case: `${name} (${tee})`, unit: "1/s", ours, peer, peerName, ratio: ours / peer };
  };
  const p99Ms = percentile99(latenciesMs);
  return [
    row("cold", rates.cold, rates.peer, PEER),
    row("cold", rates.cold, rates.coldFloor, `floor: ${coldFloor.count} ECDSA verifications`),
    row("warm", rates.warm, rates.peer, PEER),
    row("warm", rates.warm, rates.warmFloor, `floor: ${warmFloor.count} ECDSA verifications`),
    { case: `cold p99 (${tee})`, unit: "ms", ours: p99Ms, peer: 5, peerName: "aim", ratio: 5 / p99Ms },
  ];
}

/** Median calls per second of each function; each round runs all of them. */
function takeTurns<Name extends string>(calls: Readonly<Record<Name, () => unknown>>): Record<Name, number> {
  const names = Object.keys(calls) as Name[];
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of names) rates[name].push(ratePerSecond(calls[name]));
  }
  return Object.fromEntries(names.map((name) => [name, median(rates[name])])) as Record<Name, number>;
}

function ratePerSecond(call: () => unknown): number {
  const start = cpuMs();
  let count = 0;
  while (cpuMs() - start < ROUND_MS) {
    call();
    count += 1;
  }
  return (count * 1000) / (cpuMs() - start);
}

function timed(latenciesMs: number[], call: () => unknown): void {
  const start = performance.now();
  call();
  latenciesMs.push(performance.now() - start);
}

function percentile99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

/** CPU time of the process, the collector's threads included. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The signature checks that an appraisal asks for, and nothing else. */
function floor<T>(steps: Steps<T>): { count: number; check: () => void } {
  const crypto = new NodeCrypto();
  const checks: (() => boolean)[] = [];
  let step = steps.next();
  while (step.done !== true) {
    const request = step.value;
    if (request.kind === "verify") {
      const x = Buffer.from(request.publicKey.subarray(1, 33)).toString("base64url");
      const y = Buffer.from(request.publicKey.subarray(33)).toString("base64url");
      const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
      const { message } = request;
      // The form that OpenSSL takes as it is, so that the floor is as low as it can be.
      const signature = derEcdsaSignature(request.signature);
      checks.push(() => verify("sha256", message, key, signature));
    }
    step = steps.next(crypto.answer(request));
  }
  const check = (): void => {
    if (!checks.every((verifies) => verifies())) throw new Error("a signature of the floor does not verify");
  };
  return { count: checks.length, check };
}

/** The peer takes the signed bodies and their signatures apart. */
function toPeer(collateral: Collateral): PeerCollateral {
  const tcb = splitDocument(collateral.tcbInfo, "tcbInfo");
  const qe = splitDocument(collateral.qeIdentity, "enclaveIdentity");
  return {
    pck_crl_issuer_chain: collateral.pckCrlIssuerChain,
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    tcb_info_issuer_chain: collateral.tcbInfoIssuerChain,
    tcb_info: tcb.body,
    tcb_info_signature: tcb.signature,
    qe_identity_issuer_chain: collateral.qeIdentityIssuerChain,
    qe_identity: qe.body,
    qe_identity_signature: qe.signature,
  };
}

function splitDocument(bytes: Uint8Array, name: string): { body: string; signature: string } {
  const text = Buffer.from(bytes).toString("utf8");
  const { signature } = JSON.parse(text) as { signature: string };
  const body = text.slice(`{"${name}":`.length, text.lastIndexOf(',"signature"'));
  return { body, signature };
}
