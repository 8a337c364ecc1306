import type {
  AttackResult,
  Chain,
  ChainEvent,
  ChainReport,
  InferenceResult,
  Observe,
  SampleResult,
} from "@cloister/deploy";
import { drawPictures } from "../../output/picture.ts";
import { renderTable } from "../../output/table.ts";
import type { Terminal } from "../../output/terminal.ts";
import type { UpSettings } from "./options.ts";

const SHOWN_SAMPLES = 5;
const TITLES: Readonly<Record<string, string>> = {
  import: "import the model",
  certificates: "make certificates and keys",
  seal: "seal the model",
  broker: "start the broker",
  gateway: "start the gateway",
  replicas: "start and attest replicas",
  inference: "send inference requests",
  attacks: "attack the chain",
};

/** Nobody can overlook it. */
export function showBanner(terminal: Terminal): void {
  const bar = "=".repeat(78);
  for (const text of [
    bar,
    "  SIMULATED TEE. This machine's platform is a simulation: it protects nothing.",
    "  The chain, the formats and every check are real; the trust anchor is made up.",
    bar,
  ]) {
    terminal.line(terminal.style(["bold", "yellow"], text));
  }
}

/** Prints each step with its time and what came of it. */
export function stepPrinter(terminal: Terminal): Observe {
  const here = `${process.cwd()}/`;
  return (event: ChainEvent) => {
    switch (event.type) {
      case "step":
        terminal.status(`… ${TITLES[event.name] ?? event.name}`);
        break;
      case "step-done":
        terminal.line(
          `${terminal.style("green", "✓")} ${(TITLES[event.name] ?? event.name).padEnd(28)} ${`${event.ms} ms`.padStart(9)}`,
        );
        for (const fact of event.facts) terminal.line(terminal.style("dim", `    ${fact.replaceAll(here, "")}`));
        break;
      case "progress":
        terminal.status(`… ${event.text}`);
        break;
      case "replica":
        terminal.status(`… SIMULATED ${event.replica}: ${event.text}`);
        break;
      case "released":
        terminal.status(`… broker released ${event.keyId} to a SIMULATED enclave, log entry ${event.logIndex}`);
        break;
      case "refused":
        terminal.status(`… broker refused: ${event.code}, log entry ${event.logIndex ?? "none"}`);
        break;
      case "attack":
        break;
    }
  };
}

/** Inputs, predictions and whether they are right; then latency, throughput and who answered. */
export function showInference(terminal: Terminal, { report, samples, shares, reference }: InferenceResult): void {
  const shown = samples.slice(0, SHOWN_SAMPLES);
  const pictures = shown.map(({ sample }) => sample.picture).filter((picture) => picture !== undefined);
  terminal.line();
  if (pictures.length > 0) terminal.line(drawPictures(pictures));
  terminal.line(
    renderTable(
      [
        { title: "input" },
        { title: "label", align: "right" },
        { title: "predicted", align: "right" },
        { title: "value", align: "right" },
        { title: "difference", align: "right" },
        { title: "right" },
        { title: "answered by" },
      ],
      shown.map(sampleRow),
    ),
  );
  terminal.line();
  terminal.line(
    `${report.requests} requests: ${report.equal} answers equal to the reference (${reference}), ` +
      `${report.correct} of the right class, ${report.failed} failed`,
  );
  terminal.line(
    `p50 ${report.p50Ms.toFixed(1)} ms, p99 ${report.p99Ms.toFixed(1)} ms, ${Math.round(report.perSecond)} requests/s`,
  );
  const share = [...shares].map(([replica, count]) => `${replica} ${count}`).join(", ");
  terminal.line(`answered by: ${share}`);
}

function sampleRow({ sample, top, value, difference, isRight, replica }: SampleResult): string[] {
  return [
    sample.name,
    sample.label === undefined ? "-" : String(sample.label),
    String(top),
    value.toFixed(4),
    difference.toExponential(1),
    isRight ? "yes" : "no",
    replica,
  ];
}

/** What was tried, which check refused it, with which code. */
export function showAttacks(terminal: Terminal, attacks: readonly AttackResult[]): void {
  terminal.line();
  terminal.line(
    renderTable(
      [{ title: "attack" }, { title: "outcome" }, { title: "by" }, { title: "code" }, { title: "what was tried" }],
      attacks.map(({ name, refused, by, code, tried }) => [
        name,
        refused ? "refused" : "NOT REFUSED",
        by,
        code ?? "-",
        tried,
      ]),
    ),
  );
}

/** How to reach the chain while it stays up. */
export function showKept(terminal: Terminal, { gateway, requester, broker }: Chain, settings: UpSettings): void {
  terminal.line();
  terminal.line(
    `gateway ${gateway.address.host}:${gateway.address.port}, broker ${broker.address.host}:${broker.address.port}`,
  );
  terminal.line(
    `requester: CA ${requester.ca}${requester.cert === undefined ? "" : `, certificate ${requester.cert}`}`,
  );
  terminal.line(`model ${settings.chain.model.name}; SIMULATED; Ctrl-C ends everything`);
}

export function showVerdict(terminal: Terminal, report: ChainReport, ms: number): void {
  const verdict = report.ok ? terminal.style(["bold", "green"], "ok") : terminal.style(["bold", "red"], "FAILED");
  terminal.line();
  terminal.line(`${verdict} in ${(ms / 1000).toFixed(1)} s, SIMULATED; nothing was left running`);
}
