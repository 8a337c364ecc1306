import { parsePolicy, planPolicy, type PolicyClaims } from "@cloister/policy";
import type { BenchRow } from "./row.ts";

// A plan replays every past release under two policies. The floor is to read the same records once.

const RECORDS = 10_000;
const ROUNDS = 7;
const AT = "2026-06-01T00:00:00.000Z";

const policy = (minimumIsvSvn: number) =>
  parsePolicy({
    schema: "cloister-policy/1",
    workloads: [
      {
        name: "serving",
        identities: [{ tee: "sgx", mrsigner: "51".repeat(32), isvProdId: 0, minimumIsvSvn }],
        platforms: [{ kind: "intel" }],
        secrets: { keyId: "digits/1" },
      },
    ],
  });

const claims = (isvSvn: number): PolicyClaims => ({
  tee: "sgx",
  simulated: false,
  anchorSha256: "11".repeat(32),
  service: null,
  debug: false,
  sgx: { mrenclave: "e1".repeat(32), mrsigner: "51".repeat(32), isvProdId: 0, isvSvn },
  tdx: null,
  tcbStatus: "UpToDate",
  advisoryIds: [],
  evaluationDataNumber: 17,
  earliestIssue: AT,
  earliestExpiry: AT,
  fmspc: "00606a000000",
  ppid: "99".repeat(16),
});

export async function run(): Promise<BenchRow[]> {
  const past = Array.from({ length: RECORDS }, (_, index) => ({
    index,
    time: AT,
    released: true,
    claims: claims(index % 5),
  }));
  const texts = past.map((record) => JSON.stringify(record));
  const [ours, floor]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(millisecondsOf(() => planPolicy(policy(2), policy(3), past)));
    floor.push(millisecondsOf(() => texts.map((text) => JSON.parse(text) as unknown)));
  }
  const pair = { ours: median(ours), peer: median(floor) };
  const peerName = "floor: reading the records";
  return [{ case: "plan over 10,000 releases", unit: "ms", ...pair, peerName, ratio: pair.peer / pair.ours }];
}

function millisecondsOf(work: () => unknown): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
