import assert from "node:assert/strict";
import { test } from "node:test";
import { runInThisContext } from "node:vm";
import { Coverage } from "../fuzz/coverage.ts";
import { fuzz, type FuzzReport, type Target } from "../fuzz/fuzzer.ts";
import { COUNTERS, instrument } from "../fuzz/instrument.ts";
import { readCorpus } from "../fuzz/corpus.ts";

// The fuzzer finds what is there to find, and the committed corpus finds nothing.

const coverage = new Coverage();
coverage.install();
const { TARGETS } = await import("../fuzz/targets.ts");
const { parseStrictJson } = await import("@cloister/encoding/canonical-json");

const PLANTED: Target = {
  name: "planted",
  maxLength: 64,
  seeds: [new TextEncoder().encode("[1]")],
  run: (input) => {
    const value = parseStrictJson(new TextDecoder().decode(input));
    if (JSON.stringify(value).startsWith("[[")) throw new Error("planted");
  },
  isRefusal: (error) => error instanceof Error && error.message !== "planted",
};

const run = (target: Target, runs: number, corpus: readonly Uint8Array[] = []): FuzzReport => {
  return fuzz(target, coverage, { seed: 7, corpus, goesOn: (done) => done < runs });
};

test("the fuzzer finds a planted bug", () => {
  assert.match(run(PLANTED, 100_000).findings[0]?.reason ?? "", /planted/);
});

test("inputs that reach new edges lead to others that do", () => {
  const harmless = { ...PLANTED, isRefusal: () => true };
  const [before, after] = [run(harmless, 0), run(harmless, 20_000)];
  assert.ok(after.taken > 1.5 * before.taken, `${before.taken} edges became ${after.taken}`);
  assert.ok(after.discovered.length > 20);
});

test("a run of the same seed reaches the same", () => {
  const [first, second] = [run(PLANTED, 2000), run(PLANTED, 2000)];
  assert.deepEqual(first.discovered, second.discovered);
});

test("a parser that does not come to its end in time is a finding", () => {
  const slow = (): void => {
    const end = performance.now() + 60;
    while (performance.now() < end);
  };
  const { findings } = run({ ...PLANTED, run: slow }, 1);
  assert.match(findings[0]?.reason ?? "", /^it took \d+ ms$/);
});

test("instrumented code does what it did before", () => {
  const source = `
    const out = [];
    const pick = (a, b) => (a ? b ?? "none" : a || { b });
    const wrap = (x) => ({ x });
    function* count(n) { for (let i = 0; i < n; i += 1) if (i % 2) yield i; else continue; do n -= 1; while (n > 0); }
    const word = (n) => { switch (n) { case 0: return "zero"; case 1: case 2: return "few"; default: return "many"; } };
    if (out.length) out.push(0); else if (pick(0, 1)) out.push(pick(1, undefined), wrap(2), ...count(6)); else out.push(9);
    for (const n of [0, 2, 5]) out.push(word(n));
    try { null.x; } catch { out.push("caught"); }
    export default out;`;
  const { source: instrumented, nextCounter, literals } = instrument(source, 0);
  const evaluate = (text: string): unknown => {
    return runInThisContext(`(() => {${text.replace("export default out;", "return out;")}})()`);
  };
  const plain = evaluate(source);
  const counters = new Uint8Array(nextCounter);
  Object.assign(globalThis, { [COUNTERS]: counters });
  assert.deepEqual(evaluate(instrumented), plain);
  assert.ok(counters.filter((count) => count > 0).length > 12);
  assert.ok(literals.includes("caught") && literals.includes(5));
});

for (const target of TARGETS) {
  test(`the corpus of ${target.name} gives results and typed refusals only`, () => {
    const corpus = readCorpus(target.name);
    assert.ok(corpus.length > 0);
    const { findings, taken } = run(target, 0, corpus);
    assert.deepEqual(findings, []);
    // It reaches more than the valid inputs do.
    assert.ok(taken > run(target, 0).taken);
  });
}
