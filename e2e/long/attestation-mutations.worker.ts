import { parentPort, workerData } from "node:worker_threads";
import { AttestationError, createVerifier } from "@cloister/attestation";
import { loadCase } from "../../packages/attestation/src/rim/testing/dcap-bundle.ts";
import { mutate } from "../fuzz/mutate.ts";
import { Random } from "../fuzz/random.ts";

/** What the mutations came to. */
export interface MutationReport {
  readonly runs: number;
  /** Codes that came, and "accepted". */
  readonly codes: readonly string[];
  /** Errors that are no refusals. */
  readonly findings: readonly string[];
  /** Runs that were slow each time. */
  readonly slow: readonly string[];
  /** The most that one run added to the memory outside of the heap. */
  readonly maxBufferBytes: number;
}

const MAX_RUN_MS = 50;
const MAX_LENGTH = 20_000;
const IDS = ["sgx-00a067-config-sw/valid", "tdx4-20a06f-uptodate/valid", "tdx5-90c06f-td15-uptodate/valid"];
const BYTE_ITEMS = ["quote", "tcbInfo", "qeIdentity", "rootCaCrl", "pckCrl"] as const;
const TEXT_ITEMS = ["tcbInfoIssuerChain", "qeIdentityIssuerChain", "pckCrlIssuerChain"] as const;
const ITEMS = [...BYTE_ITEMS, ...TEXT_ITEMS];

const { runs, seed } = workerData as { runs: number; seed: number };
const random = new Random(seed);
const bundles = IDS.map(loadCase).map((bundle) => {
  const text = TEXT_ITEMS.map(
    (name) => [name, new Uint8Array(Buffer.from(bundle.collateral[name], "latin1"))] as const,
  );
  const { quote, collateral, anchors, time } = bundle;
  const items = new Map<(typeof ITEMS)[number], Uint8Array>([
    ...Object.entries({ quote, ...collateral }),
    ...text,
  ] as never);
  return { quote, collateral, time, items, verifier: createVerifier({ anchors }) };
});
const tokens = ["{", "}", '"', "[", "\\u0000", "Revoked", "UpToDate", "-----BEGIN CERTIFICATE-----", "\0", "\x30\x80"];
const material = {
  random,
  tokens: tokens.map((token) => new Uint8Array(Buffer.from(token, "latin1"))),
  others: bundles.flatMap(({ items }) => [...items.values()]),
  maxLength: MAX_LENGTH,
};

const codes = new Set<string>();
const findings: string[] = [];
const slow: string[] = [];
let maxBufferBytes = 0;
for (let run = 0; run < runs; run += 1) {
  const bundle = random.pick(bundles);
  const item = random.pick(ITEMS);
  const changed = mutate(bundle.items.get(item) ?? new Uint8Array(), material);
  const value = item.endsWith("Chain") ? Buffer.from(changed).toString("latin1") : changed;
  const input = { quote: bundle.quote, ...bundle.collateral, [item]: value };
  const before = process.memoryUsage().arrayBuffers;
  const ms = appraise(bundle, input);
  maxBufferBytes = Math.max(maxBufferBytes, process.memoryUsage().arrayBuffers - before);
  // A pause of the machine does not come four times.
  const isSlow = ms > MAX_RUN_MS && [1, 2, 3].every(() => appraise(bundle, input) > MAX_RUN_MS);
  if (isSlow) slow.push(`run ${run}, ${item}`);
}
const report: MutationReport = { runs, codes: [...codes].sort(), findings, slow, maxBufferBytes };
parentPort?.postMessage(report, []);

/** Milliseconds. */
function appraise(
  { verifier, time }: (typeof bundles)[number],
  input: (typeof bundles)[number]["collateral"] & { quote: Uint8Array },
): number {
  const start = performance.now();
  try {
    verifier.appraise({ quote: input.quote }, input, time);
    codes.add("accepted");
  } catch (error) {
    if (error instanceof AttestationError) codes.add(error.code);
    else findings.push(error instanceof Error ? (error.stack ?? error.message) : "something that is no Error");
  }
  return performance.now() - start;
}
