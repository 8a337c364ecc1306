import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import { RowPlan } from "./row-plan.ts";

function batch(rows: number): Map<string, Tensor> {
  return new Map([
    ["x", { dtype: "float", shape: [rows, 2], data: Float32Array.from({ length: 2 * rows }, (_, i) => i) }],
  ]);
}

/** A model that doubles its input, in a time of its own for each number of rows, and the numbers of rows that it was asked for. */
function model(ms: (rows: number) => number) {
  let clock = 0;
  const asked: number[] = [];
  const plan = new RowPlan(() => clock);
  const run = (inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> =>
    plan.run(inputs, (part) => {
      const { dtype, shape, data } = part.get("x") ?? assert.fail("no input");
      asked.push(shape[0] ?? 0);
      clock += ms(shape[0] ?? 0);
      return Promise.resolve(
        new Map([["y", { dtype, shape, data: (data as Float32Array).map((value) => 2 * value) }]]),
      );
    });
  return { run, asked };
}

const [WHOLE, APART] = [[4], [1, 1, 1, 1]];

async function plans(
  run: (inputs: ReadonlyMap<string, Tensor>) => Promise<unknown>,
  asked: number[],
): Promise<number[][]> {
  const seen: number[][] = [];
  for (let count = 0; count < 8; count++) {
    asked.length = 0;
    await run(batch(4));
    seen.push([...asked]);
  }
  return seen;
}

const TRIED = [WHOLE, APART, WHOLE, APART, WHOLE, APART];

describe("batches of a model that keeps rows apart", () => {
  it("are computed row by row where that proves quicker", async () => {
    const { run, asked } = model((rows) => rows * rows);
    assert.deepEqual(await plans(run, asked), [...TRIED, APART, APART]);
  });

  it("are computed whole where that proves quicker", async () => {
    const { run, asked } = model((rows) => 10 + rows);
    assert.deepEqual(await plans(run, asked), [...TRIED, WHOLE, WHOLE]);
  });

  it("are judged by the quickest trial: a slow first one decides nothing", async () => {
    let calls = 0;
    const { run, asked } = model((rows) => (calls++ === 0 ? 1000 : 10 + rows));
    assert.deepEqual((await plans(run, asked)).at(-1), WHOLE);
  });

  it("have the same answer either way, and a row alone is left as it is", async () => {
    const { run, asked } = model((rows) => rows * rows);
    for (let count = 0; count < 8; count++) {
      const answer = (await run(batch(3))).get("y");
      assert.deepEqual(answer, { dtype: "float", shape: [3, 2], data: Float32Array.of(0, 2, 4, 6, 8, 10) });
    }
    asked.length = 0;
    await run(batch(1));
    await run(batch(0));
    assert.deepEqual(asked, [1, 0]);
  });

  it("are handed on as they are where inputs differ in rows", async () => {
    const { run, asked } = model((rows) => rows);
    const uneven = new Map([...batch(4), ["z", { dtype: "float", shape: [2], data: new Float32Array(2) } as Tensor]]);
    for (let count = 0; count < 4; count++) await run(uneven);
    assert.deepEqual(asked, [4, 4, 4, 4]);
  });
});
