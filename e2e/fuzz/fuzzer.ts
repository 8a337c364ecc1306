import type { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

/** A parser and what must hold of it for any input. */
export interface Target {
  readonly name: string;
  /** Bytes that an input may have. */
  readonly maxLength: number;
  /** Inputs to begin with. */
  readonly seeds: readonly Uint8Array[];
  /** Returns, or throws a typed refusal. Anything else it throws is a finding. */
  readonly run: (input: Uint8Array) => void;
  readonly isRefusal: (error: unknown) => boolean;
}

export interface Finding {
  readonly input: Uint8Array;
  readonly reason: string;
}

export interface FuzzOptions {
  readonly seed: number;
  /** The corpus of earlier runs. */
  readonly corpus: readonly Uint8Array[];
  /** Called before each run; the fuzzing ends when it says so. */
  readonly goesOn: (runs: number) => boolean;
}

export interface FuzzReport {
  readonly runs: number;
  /** Edges that were taken. */
  readonly taken: number;
  /** Inputs that reached something new, beside seeds and corpus. */
  readonly discovered: readonly Uint8Array[];
  readonly findings: readonly Finding[];
}

const MAX_RUN_MS = 50;
const MAX_FINDINGS = 10;
const MAX_TOKEN_BYTES = 40;

/** Runs seeds and corpus, then mutations of whatever reached new edges, until the options or ten findings end it. */
export function fuzz(target: Target, coverage: Coverage, options: FuzzOptions): FuzzReport {
  coverage.forget();
  const random = new Random(options.seed);
  // The empty input, so that there always is one to change.
  const queue: Uint8Array[] = [new Uint8Array()];
  const findings: Finding[] = [];
  const tokens = tokensOf(coverage.literals);
  const attempt = (input: Uint8Array): boolean => {
    coverage.reset();
    const first = timed(target, input);
    // Before anything is run again, so that a pause of the machine changes no later choice.
    const isNew = coverage.isNew();
    const reason = judge(target, input, first);
    if (isNew) queue.push(input);
    if (reason !== undefined) findings.push({ input, reason });
    return isNew;
  };
  for (const input of [...queue, ...target.seeds, ...options.corpus]) attempt(input);
  const discovered: Uint8Array[] = [];
  let runs = 0;
  while (findings.length < MAX_FINDINGS && options.goesOn(runs)) {
    runs += 1;
    const material = { random, tokens, others: queue, maxLength: target.maxLength };
    const input = mutate(choose(queue, random), material);
    if (attempt(input)) discovered.push(input);
  }
  return { runs, taken: coverage.taken, discovered, findings };
}

/** Half of the time the shortest of three, because changes of short inputs hit more often; else one of the newest. */
function choose(queue: readonly Uint8Array[], random: Random): Uint8Array {
  if (random.below(2) === 0) return random.pick(queue.slice(-20));
  const [shortest = new Uint8Array()] = [1, 2, 3].map(() => random.pick(queue)).sort((a, b) => a.length - b.length);
  return shortest;
}

/** What is wrong with a run, or `undefined`. */
function judge(target: Target, input: Uint8Array, first: number | string): string | undefined {
  if (typeof first === "string") return first;
  if (first <= MAX_RUN_MS) return undefined;
  // A pause of the machine or of the engine does not come four times.
  const again = Array.from({ length: 3 }, () => timed(target, input)).filter((ms) => typeof ms === "number");
  const ms = Math.min(...again);
  return ms > MAX_RUN_MS ? `it took ${Math.round(ms)} ms` : undefined;
}

/** Milliseconds, or what came that is no refusal. */
function timed({ run, isRefusal }: Target, input: Uint8Array): number | string {
  const start = performance.now();
  try {
    // A copy: a parser that changes its input changes no other run.
    run(input.slice());
  } catch (error) {
    if (!isRefusal(error))
      return error instanceof Error ? (error.stack ?? error.message) : "something that is no Error";
  }
  return performance.now() - start;
}

/** Literals of the sources as bytes: text as it is, numbers in one, two and four bytes of both orders. */
function tokensOf(literals: ReadonlySet<string | number>): readonly Uint8Array[] {
  const tokens: Uint8Array[] = [];
  for (const literal of literals) {
    if (typeof literal === "string") tokens.push(new TextEncoder().encode(literal));
    else if (Number.isInteger(literal) && literal >= 0 && literal <= 0xffffffff) tokens.push(...numberTokens(literal));
  }
  return tokens.filter(({ length }) => length > 0 && length <= MAX_TOKEN_BYTES);
}

function numberTokens(value: number): readonly Uint8Array[] {
  const width = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : 4;
  const little = Uint8Array.from({ length: width }, (_, index) => (value / 256 ** index) & 0xff);
  return width === 1 ? [little, new TextEncoder().encode(String(value))] : [little, little.toReversed()];
}
