import { writeFile } from "node:fs/promises";
import { generateLoad, histogramSvg, latencyHistogram, type LoadReport, type VerifiedReplica } from "@cloister/client";
import { Command, InvalidArgumentError } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { benchJson, showLoad } from "./output.ts";
import { type InputFlags, inputSlot, makeInput, withInputOptions } from "../infer/input.ts";
import { type CallFlags, callOptionsOf, openClient, withCallOptions } from "../open-client.ts";

const PROGRESS_MS = 200;

interface BenchFlags extends CallFlags, InputFlags {
  readonly model: string;
  readonly batch: number;
  readonly concurrency: number;
  readonly connections?: number;
  readonly loops: number;
  readonly duration?: number;
  readonly rate?: number;
  readonly warmup: number;
  readonly svg?: string;
  readonly json?: boolean;
}

/** `cloister bench`: load on a server, measured. */
export function benchCommand(setExit: (code: number) => void): Command {
  const command = new Command("bench")
    .description(
      "Measure a server under load. The original client's options -url -img -ca -key -crt -batch -cnum -loop are taken too.",
    )
    .option("--model <name>", "model to ask", "digits");
  return withInputOptions(withCallOptions(command))
    .option("--batch <n>", "examples a call, for random input", wholeNumber(1, 65_536), 1)
    .option("--concurrency <n>", "calls in flight", wholeNumber(1, 4096), 16)
    .option("--connections <n>", "connections (default: one for each call in flight, at most 16)", wholeNumber(1, 4096))
    .option("--loops <n>", "calls for each of the --concurrency; 0: until Ctrl-C", wholeNumber(0, 1_000_000_000), 200)
    .option("--duration <seconds>", "stop after this time instead", positive)
    .option("--rate <n>", "open loop: begin so many calls a second, whatever the answers do", positive)
    .option("--warmup <n>", "calls before the measurement", wholeNumber(0, 1_000_000), 5)
    .option("--svg <file>", "write the latency histogram as a picture")
    .option("--json", "print one JSON document")
    .action(async (flags: BenchFlags) => setExit(await bench(flags)));
}

async function bench(flags: BenchFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const verified: VerifiedReplica[] = [];
  const connections = flags.connections ?? Math.min(16, flags.concurrency);
  const client = await openClient(flags, connections, (replica) => verified.push(replica));
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  try {
    const slot = await inputSlot(client, flags.model, flags);
    const tensor = await makeInput(slot, flags);
    const { model, signature } = flags;
    const input = { model, signature, inputs: new Map([[slot.alias, tensor]]) };
    const call = client.repeatable(input, callOptionsOf(flags));
    let shownAt = 0;
    const report = await generateLoad(call, {
      ...limitsOf(flags),
      signal: stop.signal,
      onProgress: (done) => {
        const now = performance.now();
        if (now - shownAt < PROGRESS_MS) return;
        shownAt = now;
        terminal.status(`… ${done} calls`);
      },
    });
    await writePicture(report, flags.svg);
    const summary = { batch: tensor.shape[0] ?? 1, connectionsAttested: verified.length };
    showLoad(terminal, report, summary);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(benchJson(report, flags, summary))}\n`);
    return report.failed === 0 ? EXIT.done : EXIT.refused;
  } finally {
    process.off("SIGINT", onInterrupt);
    await client.close();
  }
}

function limitsOf({ concurrency, loops, duration, rate, warmup }: BenchFlags) {
  return {
    concurrency,
    warmup,
    ...(rate !== undefined && { ratePerSecond: rate }),
    ...(duration !== undefined
      ? { durationMs: duration * 1000 }
      : { requests: loops === 0 ? Infinity : loops * concurrency }),
  };
}

async function writePicture(report: LoadReport, path: string | undefined): Promise<void> {
  if (path !== undefined) await writeFile(path, histogramSvg(latencyHistogram(report.latenciesMs), report.latency));
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("a number above 0 is needed");
}
