import { createHash } from "node:crypto";
import type { Prediction, ScoredClass, VerifiedReplica } from "@cloister/client";
import { fromUtf8, toHex } from "@cloister/encoding";
import type { Tensor } from "@cloister/encoding/tensor";
import { renderTable } from "../../output/table.ts";
import type { Terminal } from "../../output/terminal.ts";

const SHOWN_VALUES = 8;

type Rank = (scores: Tensor) => readonly (readonly ScoredClass[])[];

/** Every check that the replica passed, and what was proved. */
export function showReplica(terminal: Terminal, replica: VerifiedReplica): void {
  terminal.line(terminal.style("bold", "verified before the first request:"));
  for (const step of replica.steps) terminal.line(`${terminal.style("green", "✓")} ${step}`);
  for (const [name, value] of Object.entries(replicaJson(replica))) {
    if (typeof value === "string") terminal.line(`  ${name.padEnd(18)} ${value.slice(0, 100)}`);
  }
  if (replica.claims.simulated) terminal.line(terminal.style(["bold", "yellow"], "  SIMULATED: this proves nothing"));
  terminal.line();
}

/** The evidence of a replica as plain JSON; the quote is whole, so that others can verify it. */
export function replicaJson({ claims, decision, quote, ...replica }: VerifiedReplica) {
  const { sgx, tdx, tcb, dates } = claims;
  return {
    tee: claims.tee,
    simulated: claims.simulated,
    measurement: toHex(sgx?.mrenclave ?? tdx?.mrTd ?? new Uint8Array()),
    anchorSha256: claims.anchorSha256,
    tcbStatus: tcb.status,
    collateralExpires: dates.earliestExpiry.toISOString(),
    collateralFrom: replica.isStapled ? "the replica" : "the client",
    workload: decision.workload,
    rule: decision.rule,
    ...(replica.release !== undefined && { keyRelease: `${replica.release.keyId ?? ""} at ${replica.release.time}` }),
    publicKeySha256: replica.publicKeySha256,
    quoteSha256: createHash("sha256").update(quote).digest("hex"),
    quote: Buffer.from(quote).toString("base64"),
    steps: replica.steps,
    durationMs: replica.durationMs,
  };
}

/** The best classes of each output that has scores; the first values of the others. */
export function showPrediction(
  terminal: Terminal,
  { outputs, model, replica }: Prediction,
  rank: Rank,
  latencyMs: number,
  verified: readonly VerifiedReplica[],
): void {
  for (const [alias, tensor] of outputs) {
    terminal.line(terminal.style("bold", `${alias}: ${tensor.dtype} [${tensor.shape.join(", ")}]`));
    terminal.line(isScores(tensor) ? scoresTable(rank(tensor)) : firstValues(tensor));
  }
  terminal.line();
  const version = model?.version === undefined ? "" : ` version ${model.version}`;
  const proof = verified.some(({ claims }) => claims.simulated)
    ? "attested (SIMULATED)"
    : verified.length > 0
      ? "attested"
      : "not attested";
  terminal.line(
    `${model?.name ?? "model"}${version} on ${replica ?? "a server"}, ${proof}, ${latencyMs.toFixed(1)} ms`,
  );
}

/** `{model, version, replica, outputs: {alias: {dtype, shape, values, top?}}}` */
export function predictionJson({ outputs, model, replica }: Prediction, rank: Rank) {
  const entries = [...outputs].map(([alias, tensor]) => [
    alias,
    {
      dtype: tensor.dtype,
      shape: tensor.shape,
      values: valuesOf(tensor),
      ...(isScores(tensor) && { top: rank(tensor) }),
    },
  ]);
  return {
    model: model?.name ?? null,
    version: model?.version === undefined ? null : Number(model.version),
    replica: replica ?? null,
    outputs: Object.fromEntries(entries) as Record<string, unknown>,
  };
}

function isScores({ dtype, shape }: Tensor): boolean {
  return (dtype === "float" || dtype === "double") && shape.length === 2 && (shape[1] ?? 0) > 1;
}

function scoresTable(rows: readonly (readonly ScoredClass[])[]): string {
  const cells = rows.flatMap((row, index) =>
    row.map(({ index: number, label, score }) => [String(index), String(number), label ?? "-", score.toFixed(6)]),
  );
  return renderTable(
    [
      { title: "row", align: "right" },
      { title: "class", align: "right" },
      { title: "label" },
      { title: "score", align: "right" },
    ],
    cells,
  );
}

function firstValues(tensor: Tensor): string {
  const values = valuesOf(tensor);
  return `${values.slice(0, SHOWN_VALUES).join(", ")}${values.length > SHOWN_VALUES ? ", …" : ""}`;
}

/** Numbers; 64-bit integers and texts as strings, which JSON holds exactly. */
function valuesOf({ data }: Tensor): (number | string)[] {
  return Array.from(data as ArrayLike<number | bigint | Uint8Array>, (value) => {
    if (value instanceof Uint8Array) return fromUtf8(value) ?? toHex(value);
    return typeof value === "bigint" ? value.toString() : value;
  });
}
