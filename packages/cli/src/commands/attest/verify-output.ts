import type { AttestationError, VerifiedClaims } from "@cloister/attestation";
import { toHex } from "@cloister/encoding";
import type { Terminal } from "../../output/terminal.ts";

/** The outcome of a verification: claims or an error, and the steps on the way. */
export interface Verification {
  readonly kind: "quote" | "ra-tls-certificate";
  readonly time: Date;
  readonly claims?: VerifiedClaims;
  readonly error?: AttestationError;
  readonly passed: readonly string[];
  readonly failed?: string;
  /** Zeros after the quote that were left out. */
  readonly droppedBytes: number;
}

const LABEL_WIDTH = 16;

/** Steps with ticks, the verdict, its reasons and dates, for people. */
export function showVerification(terminal: Terminal, verification: Verification): void {
  const { passed, failed, claims, error, droppedBytes, time } = verification;
  if (droppedBytes > 0) terminal.line(`${droppedBytes} zero bytes after the quote were left out`);
  for (const step of passed) terminal.line(`${terminal.style("green", "✓")} ${step}`);
  if (failed !== undefined) terminal.line(`${terminal.style("red", "✗")} ${failed}`);
  terminal.line();
  const row = (label: string, value: string): void => terminal.line(`${label.padEnd(LABEL_WIDTH)}${value}`);
  row("verified as of", time.toISOString());
  if (error !== undefined) {
    row("verdict", terminal.style(["bold", "red"], "REJECTED"));
    row("code", error.code);
    row("reason", `${error.explanation.what}: ${error.explanation.why}`);
    row("what to do", error.explanation.remedy);
  }
  if (claims !== undefined) showClaims(terminal, row, claims);
}

function showClaims(terminal: Terminal, row: (label: string, value: string) => void, claims: VerifiedClaims): void {
  const { tcb, dates, platform } = claims;
  row("verdict", terminal.style(["bold", "green"], "VERIFIED"));
  if (claims.simulated) row("platform", terminal.style(["bold", "red"], "SIMULATED: no hardware stands behind this"));
  row("TEE", `${claims.tee} (quote version ${claims.quoteVersion}), root ${claims.anchor}`);
  if (claims.debug) row("debug", terminal.style(["bold", "red"], "DEBUG: the host can read and change it"));
  for (const [label, value] of identityRows(claims)) row(label, value);
  row("report data", toHex(claims.reportData));
  const style = tcb.status === "UpToDate" ? "green" : "yellow";
  row("TCB status", `${terminal.style(style, tcb.status)} (platform ${tcb.platformStatus}, QE ${tcb.qeStatus})`);
  row("TCB date", `${day(tcb.tcbDate)}, evaluation ${tcb.evaluationDataNumber}`);
  row("advisories", tcb.advisoryIds.join(", ") || "none");
  row("FMSPC", `${toHex(platform.fmspc)}, PCK CA ${platform.pckCa}, ${platform.sgxType}`);
  row("issued", `${day(dates.earliestIssue)} to ${day(dates.latestIssue)}`);
  row("valid until", dates.earliestExpiry.toISOString());
  terminal.line();
  terminal.line("verified is not yet accepted: a policy decides about measurements, debug and TCB status");
}

/** One JSON document. Binary values in hex. */
export function verificationJson({ kind, time, claims, error, passed, failed, droppedBytes }: Verification) {
  return {
    verdict: claims === undefined ? "rejected" : "verified",
    kind,
    time: time.toISOString(),
    code: error?.code ?? null,
    message: error?.message ?? null,
    steps: [
      ...passed.map((name) => ({ name, ok: true })),
      ...(failed === undefined ? [] : [{ name: failed, ok: false }]),
    ],
    droppedBytes,
    claims: claims === undefined ? null : claimsJson(claims),
  };
}

function claimsJson(claims: VerifiedClaims): unknown {
  const text = JSON.stringify(claims, (_name, value: unknown) => {
    if (value instanceof Uint8Array) return toHex(value);
    return typeof value === "bigint" ? String(value) : value;
  });
  return JSON.parse(text) as unknown;
}

function identityRows({ sgx, tdx }: VerifiedClaims): [string, string][] {
  if (sgx !== undefined) {
    const { mrenclave, mrsigner, isvProdId, isvSvn } = sgx;
    return [
      ["MRENCLAVE", toHex(mrenclave)],
      ["MRSIGNER", toHex(mrsigner)],
      ["ISV", `product ${isvProdId}, SVN ${isvSvn}`],
    ];
  }
  if (tdx === undefined) return [];
  return [
    ["MRTD", toHex(tdx.mrTd)],
    ...tdx.rtmrs.map((rtmr, index): [string, string] => [`RTMR${index}`, toHex(rtmr)]),
  ];
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
