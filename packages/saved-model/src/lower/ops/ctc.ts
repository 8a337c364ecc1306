import type { Tensor } from "@cloister/encoding/tensor";
import { searchBeam, takeBest } from "../../host/ctc.ts";
import { int64Tensor, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { type Type, unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";

/** No beam may be wider. */
const MAX_WIDTH = 2 ** 14;

function floating(op: Op): "float" | "double" {
  const { dtype } = op.input(0);
  return dtype === "float" || dtype === "double" ? dtype : unlowerable(`on ${dtype}`);
}

/** Scores of each moment, sequence by sequence. Operands: scores by moment, sequence and class, and how long each sequence is. */
function sequencesOf(scores: Tensor, lengths: Tensor): Float64Array[][] {
  const [moments = 0, count = 0, classes = 0] = scores.shape;
  if (scores.shape.length !== 3 || lengths.data.length !== count || classes === 0)
    return refuse("the sequences' shapes differ");
  const data = scores.data as Float64Array;
  return integers(lengths).map((length, sequence) => {
    if (length < 0 || length > moments) return refuse("a sequence is longer than its scores");
    return Array.from({ length }, (_, moment) => {
      const start = (moment * count + sequence) * classes;
      return data.subarray(start, start + classes);
    });
  });
}

/** Labels of all sequences as a sparse matrix: coordinates, values, shape. */
function sparse(rows: readonly (readonly number[])[]): [Tensor, Tensor, Tensor] {
  const values = rows.flat();
  const indices = rows.flatMap((row, sequence) => row.flatMap((_, place) => [sequence, place]));
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
  return [
    int64Tensor([values.length, 2], indices),
    int64Tensor([values.length], values),
    int64Tensor([2], [rows.length, width]),
  ];
}

function scoresTensor(dtype: "float" | "double", shape: readonly number[], values: readonly number[]): Tensor {
  const data = newArray(dtype, values.length) as Float64Array;
  data.set(values);
  return { dtype, shape, data };
}

const SPARSE: readonly Type[] = [
  { dtype: "int64", shape: [-1, 2] },
  { dtype: "int64", shape: [-1] },
  { dtype: "int64", shape: [2] },
];

const greedy: Lowering = hostOp(
  (op) => [...SPARSE, { dtype: floating(op), shape: [op.input(0).shape?.[1] ?? -1, 1] }],
  (op) => {
    const dtype = floating(op);
    const mergesRepeated = op.attributes.bool("merge_repeated", false);
    const given = op.attributes.int("blank_index", -1);
    return ([scores, lengths]) => {
      const classes = (scores as Tensor).shape[2] ?? 0;
      const blank = given < 0 ? classes + given : given;
      const found = sequencesOf(scores as Tensor, lengths as Tensor).map((moments) =>
        takeBest(moments, { blank, mergesRepeated }),
      );
      const sums = found.map(({ score }) => -score);
      return [...sparse(found.map(({ labels }) => labels)), scoresTensor(dtype, [sums.length, 1], sums)];
    };
  },
);

const beamSearch: Lowering = (op) => {
  const dtype = floating(op);
  const [width, count] = [op.attributes.int("beam_width", 1), op.attributes.int("top_paths", 1)];
  const mergesRepeated = op.attributes.bool("merge_repeated", true);
  if (width < 1 || width > MAX_WIDTH || count < 1 || count > width) return unlowerable("with a beam of that width");
  const paths = Array.from({ length: count }, (_, path) => path);
  const lowering = hostOp(
    () => [...SPARSE.flatMap((type) => paths.map(() => type)), { dtype, shape: [op.input(0).shape?.[1] ?? -1, count] }],
    () =>
      ([scores, lengths]) => {
        const found = sequencesOf(scores as Tensor, lengths as Tensor).map((moments) =>
          searchBeam(moments, { width, count, mergesRepeated }),
        );
        const parts = paths.map((path) => sparse(found.map((each) => each[path]?.labels ?? [])));
        const chances = found.flatMap((each) => each.map(({ chance }) => chance));
        return [
          ...parts.map(([indices]) => indices),
          ...parts.map(([, values]) => values),
          ...parts.map(([, , shape]) => shape),
          scoresTensor(dtype, [found.length, count], chances),
        ];
      },
  );
  return lowering(op);
};

export const CTC: LoweringTable = {
  CTCBeamSearchDecoder: beamSearch,
  CTCGreedyDecoder: greedy,
};
