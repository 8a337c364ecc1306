import type { Tensor } from "@cloister/encoding/tensor";
import { joinRows } from "../../rows.ts";

type Values = ReadonlyMap<string, Tensor>;
type Compute = (inputs: Values) => Promise<Map<string, Tensor>>;

/** Batches that are computed in each way before one is chosen. The quickest of them counts: the machine may be busy with others. */
const TRIALS = 3;

/**
 * Computes batches of a model that keeps rows apart: as a whole, or one row after the other, whichever proves quicker on this machine.
 * Of a row alone, what one operator makes is still in the cache when the next reads it; a whole batch makes better use of the
 * weights. The answer has the same bits either way.
 */
export class RowPlan {
  readonly #whole = new Way((inputs, compute) => compute(inputs));
  readonly #apart = new Way(computeApart);
  readonly #now: () => number;

  /** @param now milliseconds of a clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  async run(inputs: Values, compute: Compute): Promise<Map<string, Tensor>> {
    const rows = rowsOf(inputs);
    if (rows === undefined || rows < 2) return compute(inputs);
    const way = this.#choose();
    const startedAt = this.#now();
    const outputs = await way.run(inputs, compute);
    way.took((this.#now() - startedAt) / rows);
    return outputs;
  }

  #choose(): Way {
    const [whole, apart] = [this.#whole, this.#apart];
    if (apart.trials < TRIALS) return whole.trials > apart.trials ? apart : whole;
    return apart.msOfRow < whole.msOfRow ? apart : whole;
  }
}

class Way {
  readonly run: (inputs: Values, compute: Compute) => Promise<Map<string, Tensor>>;
  trials = 0;
  /** Of the quickest trial. */
  msOfRow = Infinity;

  constructor(run: Way["run"]) {
    this.run = run;
  }

  took(msOfRow: number): void {
    if (this.trials === TRIALS) return;
    this.trials++;
    this.msOfRow = Math.min(this.msOfRow, msOfRow);
  }
}

/** Rows that all inputs have. Other requests are computed, or refused, as a whole. */
function rowsOf(inputs: Values): number | undefined {
  const [first] = inputs.values();
  const rows = first?.shape[0];
  return [...inputs.values()].every(({ shape, data }) => shape[0] === rows && ArrayBuffer.isView(data))
    ? rows
    : undefined;
}

async function computeApart(inputs: Values, compute: Compute): Promise<Map<string, Tensor>> {
  const rows = rowsOf(inputs) ?? 0;
  const answers: Map<string, Tensor>[] = [];
  for (let row = 0; row < rows; row++) {
    answers.push(await compute(new Map([...inputs].map(([alias, tensor]) => [alias, rowOf(tensor, row)]))));
  }
  const parts = (alias: string): Tensor[] => answers.flatMap((answer) => answer.get(alias) ?? []);
  return new Map([...(answers[0]?.keys() ?? [])].map((alias) => [alias, joinRows(parts(alias))]));
}

/** One row, as a view. */
function rowOf({ dtype, shape, data }: Tensor, row: number): Tensor {
  const length = data.length / (shape[0] ?? 1);
  const part = (data as Float32Array).subarray(row * length, (row + 1) * length);
  return { dtype, shape: [1, ...shape.slice(1)], data: part };
}
