import { latencyHistogram, type LoadReport } from "@cloister/client";
import type { Terminal } from "../../output/terminal.ts";

const BAR_WIDTH = 40;

export interface BenchSummary {
  /** Examples in a call. */
  readonly batch: number;
  /** Connections that were appraised. 0: attestation was not asked for. */
  readonly connectionsAttested: number;
}

export interface BenchSettings {
  readonly transport: "grpc" | "rest";
  readonly concurrency: number;
  readonly rate?: number;
}

/** Rates, percentiles, who answered, what failed, and how latencies are spread. */
export function showLoad(terminal: Terminal, report: LoadReport, { batch, connectionsAttested }: BenchSummary): void {
  const { latency } = report;
  terminal.line(
    `${report.succeeded} calls in ${(report.durationMs / 1000).toFixed(2)} s: ${report.perSecond.toFixed(1)} calls/s, ` +
      `${(report.perSecond * batch).toFixed(1)} examples/s`,
  );
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  terminal.line(
    `latency: mean ${ms(latency.meanMs)}, p50 ${ms(latency.p50Ms)}, p90 ${ms(latency.p90Ms)}, ` +
      `p95 ${ms(latency.p95Ms)}, p99 ${ms(latency.p99Ms)}, max ${ms(latency.maxMs)}`,
  );
  terminal.line();
  terminal.line(drawHistogram(report.latenciesMs));
  terminal.line();
  terminal.line(`answered by: ${counts(report.replicas)}`);
  if (connectionsAttested > 0) terminal.line(`connections attested: ${connectionsAttested}`);
  if (report.failed > 0) terminal.line(terminal.style("red", `failed: ${report.failed} (${counts(report.errors)})`));
}

/** The stable document of `--json`; fields are only ever added. */
export function benchJson(
  report: LoadReport,
  { transport, concurrency, rate }: BenchSettings,
  { batch, connectionsAttested }: BenchSummary,
) {
  return {
    schema: "cloister-bench/1",
    ok: report.failed === 0,
    transport,
    concurrency,
    ratePerSecond: rate ?? null,
    batch,
    requests: report.requests,
    succeeded: report.succeeded,
    failed: report.failed,
    durationMs: report.durationMs,
    perSecond: report.perSecond,
    latency: report.latency,
    histogram: latencyHistogram(report.latenciesMs).map(({ fromMs, toMs, count }) => {
      return { fromMs, toMs: Number.isFinite(toMs) ? toMs : null, count };
    }),
    errors: Object.fromEntries(report.errors),
    replicas: Object.fromEntries(report.replicas),
    connectionsAttested,
  };
}

function drawHistogram(latenciesMs: readonly number[]): string {
  const buckets = latencyHistogram(latenciesMs);
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  return buckets
    .map(({ fromMs, count }) => {
      const bar = "█".repeat(Math.ceil((BAR_WIDTH * count) / most));
      return `${fromMs.toFixed(2).padStart(10)} ms ${String(count).padStart(8)} ${bar}`.trimEnd();
    })
    .join("\n");
}

function counts(map: ReadonlyMap<string, number>): string {
  return [...map].map(([name, count]) => `${name} ${count}`).join(", ") || "nobody";
}
