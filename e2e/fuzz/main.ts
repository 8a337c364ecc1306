// npm run fuzz -- --seconds N [--target NAME] [--seed N] [--grow]: coverage-guided fuzzing of every parser of what attackers send.
// The time is shared out over the targets. `--grow` keeps what reached new edges in e2e/fuzz/corpus. Exit code 1 with findings,
// each written to e2e/fuzz/findings.

import { parseArgs } from "node:util";
import { keepSmallest, readCorpus, writeFinding } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import { fuzz } from "./fuzzer.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    target: { type: "string" },
    grow: { type: "boolean", default: false },
  },
});

const coverage = new Coverage();
coverage.install();
// Loaded after `install`, so that they are instrumented.
const { TARGETS } = await import("./targets.ts");

const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
const seconds = Number(values.seconds);
if (chosen.length === 0 || !(seconds > 0)) {
  process.stderr.write(
    `usage: --seconds N [--target ${TARGETS.map(({ name }) => name).join("|")}] [--seed N] [--grow]\n`,
  );
  process.exit(2);
}

let findings = 0;
for (const target of chosen) {
  const corpus = readCorpus(target.name);
  const end = performance.now() + (seconds * 1000) / chosen.length;
  const report = fuzz(target, coverage, {
    seed: Number(values.seed),
    corpus,
    goesOn: () => performance.now() < end,
  });
  if (values.grow) keepSmallest(target, coverage, [...corpus, ...report.discovered]);
  for (const { input, reason } of report.findings) {
    findings += 1;
    process.stdout.write(`${target.name}: FINDING in ${writeFinding(target.name, input)}: ${reason}\n`);
  }
  const { runs, taken, discovered } = report;
  process.stdout.write(
    `${target.name.padEnd(12)} ${runs} runs, ${taken} edges, ${corpus.length} in the corpus, ${discovered.length} new, ${report.findings.length} findings\n`,
  );
}
process.exitCode = findings === 0 ? 0 : 1;
