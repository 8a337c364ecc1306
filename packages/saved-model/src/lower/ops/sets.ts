// Operations on sets: the last axis of each operand holds the elements of one set for each place of the axes before.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { type Element, elementsOf, fromElements, int64Tensor, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

/** The sets of an operand, by the place of each in the axes before the last, and the sizes of those. */
interface Sets {
  readonly outer: readonly number[];
  readonly at: ReadonlyMap<string, ReadonlySet<Element>>;
}

function ofDense(tensor: Tensor): Sets {
  const outer = tensor.shape.slice(0, -1);
  const width = tensor.shape.at(-1) ?? refuse("a set without an axis");
  const elements = elementsOf(tensor);
  const places = Array.from({ length: elementCount(outer) }, (_, place) => place);
  return {
    outer,
    at: new Map(
      places.map((each) => [
        coordinates(each, outer).join(),
        new Set(elements.slice(each * width, (each + 1) * width)),
      ]),
    ),
  };
}

function ofSparse(indices: Tensor, values: Tensor, shape: Tensor): Sets {
  const outer = integers(shape).slice(0, -1);
  const rank = outer.length + 1;
  const flat = integers(indices);
  const at = new Map<string, Set<Element>>();
  for (const [row, value] of elementsOf(values).entries()) {
    const key = flat.slice(row * rank, row * rank + outer.length).join();
    at.set(key, (at.get(key) ?? new Set()).add(value));
  }
  return { outer, at };
}

function coordinates(place: number, sizes: readonly number[]): number[] {
  return sizes.map((size, axis) => Math.floor(place / elementCount(sizes.slice(axis + 1))) % size);
}

type Combine = (a: ReadonlySet<Element>, b: ReadonlySet<Element>) => ReadonlySet<Element>;

const COMBINE: Readonly<Record<string, Combine>> = {
  "a-b": (a, b) => a.difference(b),
  "b-a": (a, b) => b.difference(a),
  intersection: (a, b) => a.intersection(b),
  union: (a, b) => a.union(b),
};

function byOrder(a: Element, b: Element): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function combined(sets: readonly [Sets, Sets], combine: Combine, dtype: Tensor["dtype"]): Tensor[] {
  const [a, b] = sets;
  if (a.outer.join() !== b.outer.join()) return refuse("the sets do not stand in the same places");
  const found: { place: number[]; values: Element[] }[] = [];
  let width = 0;
  for (let each = 0; each < elementCount(a.outer); each++) {
    const place = coordinates(each, a.outer);
    const [left, right] = sets.map(({ at }) => at.get(place.join()) ?? new Set<Element>());
    const values = [...combine(left as ReadonlySet<Element>, right as ReadonlySet<Element>)].toSorted(byOrder);
    width = Math.max(width, values.length);
    found.push({ place, values });
  }
  const all = found.flatMap(({ place, values }) => values.map((value, index) => ({ at: [...place, index], value })));
  return [
    int64Tensor(
      [all.length, a.outer.length + 1],
      all.flatMap(({ at }) => at),
    ),
    fromElements(
      dtype,
      [all.length],
      all.map(({ value }) => value),
    ),
    int64Tensor([a.outer.length + 1], [...a.outer, width]),
  ];
}

/** `kinds` says which operands are dense; a sparse one takes three. */
function setOperation(...kinds: readonly ["dense" | "sparse", "dense" | "sparse"]): Lowering {
  return hostOp(
    (op) => {
      const { dtype } = op.input(kinds[0] === "sparse" ? 1 : 0);
      return [
        { dtype: "int64", shape: [-1, -1] },
        { dtype, shape: [-1] },
        { dtype: "int64", shape: [-1] },
      ];
    },
    (op) => {
      const name = op.attributes.string("set_operation", "");
      const combine = COMBINE[name] ?? unlowerable(`the set operation ${name}`);
      return (inputs) => {
        const [first, ...rest] = inputs as [Tensor, ...Tensor[]];
        const { dtype } = kinds[0] === "sparse" ? (rest[0] as Tensor) : first;
        const others = kinds[0] === "sparse" ? rest.slice(2) : rest;
        const a = kinds[0] === "sparse" ? ofSparse(first, rest[0] as Tensor, rest[1] as Tensor) : ofDense(first);
        const b =
          kinds[1] === "sparse"
            ? ofSparse(others[0] as Tensor, others[1] as Tensor, others[2] as Tensor)
            : ofDense(others[0] as Tensor);
        return combined([a, b], combine, dtype);
      };
    },
  );
}

/** How many elements each set has. */
const setSize: Lowering = hostOp(
  () => [{ dtype: "int32", shape: undefined }],
  () =>
    ([indices, values, shape]) => {
      const { outer, at } = ofSparse(indices as Tensor, values as Tensor, shape as Tensor);
      const sizes = Array.from(
        { length: elementCount(outer) },
        (_, place) => at.get(coordinates(place, outer).join())?.size ?? 0,
      );
      return [fromElements("int32", outer, sizes)];
    },
);

export const SETS: LoweringTable = {
  DenseToDenseSetOperation: setOperation("dense", "dense"),
  DenseToSparseSetOperation: setOperation("dense", "sparse"),
  SetSize: setSize,
  SparseToSparseSetOperation: setOperation("sparse", "sparse"),
};
