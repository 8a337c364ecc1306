import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Coverage } from "./coverage.ts";
import type { Target } from "./fuzzer.ts";

const CORPUS = new URL("corpus/", import.meta.url);
const FINDINGS = new URL("findings/", import.meta.url);

/** Inputs to keep for each target. */
const MAX_KEPT = 48;
const MAX_KEPT_BYTES = 4096;

/** The committed inputs of a target, in a stable order. */
export function readCorpus(target: string): readonly Uint8Array[] {
  const folder = new URL(`${target}/`, CORPUS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => new Uint8Array(readFileSync(new URL(name, folder))));
}

/** Writes the smallest inputs that together reach what all of them reach beyond the seeds. */
export function keepSmallest(target: Target, coverage: Coverage, inputs: readonly Uint8Array[]): void {
  coverage.forget();
  const reaches = (input: Uint8Array): boolean => {
    coverage.reset();
    try {
      target.run(input.slice());
    } catch {
      // A refusal reaches edges too.
    }
    return coverage.isNew();
  };
  for (const seed of target.seeds) reaches(seed);
  const bySize = inputs.filter(({ length }) => length <= MAX_KEPT_BYTES).toSorted((a, b) => a.length - b.length);
  const kept = bySize.filter(reaches).slice(0, MAX_KEPT);
  const folder = new URL(`${target.name}/`, CORPUS);
  rmSync(folder, { recursive: true, force: true });
  for (const input of kept) write(folder, input);
}

/** Writes an input down for whoever looks into it. Its path inside the repository. */
export function writeFinding(target: string, input: Uint8Array): string {
  return `e2e/fuzz/findings/${target}/${write(new URL(`${target}/`, FINDINGS), input)}`;
}

function write(folder: URL, input: Uint8Array): string {
  const name = createHash("sha256").update(input).digest("hex").slice(0, 16);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(name, folder), input);
  return name;
}
