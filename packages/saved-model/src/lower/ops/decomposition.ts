// Matrices taken apart. The host computes in double precision; matrices are small where a model serves.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../../host/refusal.ts";
import { eigenvalues, householder, luDecompose, normalEquations, singularValues } from "../../host/linear-algebra.ts";
import { type Type, unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { Shape } from "../value.ts";
import { type Matrix, matricesOf, requireFloat, requireSquare, tensorOf } from "./matrix.ts";

/** The axes before a matrix, and its two sizes. */
function partsOf(shape: Shape): { outer: readonly number[] | undefined; rows: number; columns: number } {
  const [rows = -1, columns = -1] = shape?.slice(-2) ?? [];
  return { outer: shape?.slice(0, -2), rows, columns };
}

const typed = (op: Op, outer: readonly number[] | undefined, ...sizes: readonly number[]): Type => ({
  dtype: requireFloat(op),
  shape: outer && [...outer, ...sizes],
});

/** Q and R; with full matrices Q is square. */
const qr: Lowering = hostOp(
  (op) => {
    const { outer, rows, columns } = partsOf(op.input(0).shape);
    const isFull = op.attributes.bool("full_matrices", false);
    const inner = isFull ? rows : rows < 0 || columns < 0 ? -1 : Math.min(rows, columns);
    return [typed(op, outer, rows, inner), typed(op, outer, inner, columns)];
  },
  (op) => {
    const dtype = requireFloat(op);
    const isFull = op.attributes.bool("full_matrices", false);
    return ([value]) => {
      const { rows, columns, matrices } = matricesOf(value as Tensor);
      const outer = (value as Tensor).shape.slice(0, -2);
      const inner = isFull ? rows : Math.min(rows, columns);
      const found = matrices.map((matrix) => householder(matrix, rows, columns, inner));
      return [
        tensorOf(
          dtype,
          [...outer, rows, inner],
          found.map(({ q }) => q),
        ),
        tensorOf(
          dtype,
          [...outer, inner, columns],
          found.map(({ r }) => r),
        ),
      ];
    };
  },
);

/** Vectors have a sign that is free, and TensorFlow's would be guessed: only values are given. */
function valuesOnly(
  attribute: string,
  count: (rows: number, columns: number) => number,
  values: (matrix: Matrix, rows: number, columns: number) => Matrix,
): Lowering {
  return hostOp(
    (op) => {
      if (op.attributes.bool(attribute, true)) unlowerable("with vectors, whose signs are free");
      const { outer, rows, columns } = partsOf(op.input(0).shape);
      const own = typed(op, outer, rows < 0 || columns < 0 ? -1 : count(rows, columns));
      const none: Type = { dtype: requireFloat(op), shape: [0] };
      return op.node.op === "Svd" ? [own, none, none] : [own, none];
    },
    (op) => {
      const dtype = requireFloat(op);
      return ([value]) => {
        const { rows, columns, matrices } = matricesOf(value as Tensor);
        const shape = [...(value as Tensor).shape.slice(0, -2), count(rows, columns)];
        const found = tensorOf(
          dtype,
          shape,
          matrices.map((matrix) => values(matrix, rows, columns)),
        );
        const none = tensorOf(dtype, [0], []);
        return op.node.op === "Svd" ? [found, none, none] : [found, none];
      };
    },
  );
}

/** Both triangles in one matrix, and for each row where it came from. */
const lu: Lowering = hostOp(
  (op) => {
    const { outer, rows, columns } = partsOf(op.input(0).shape);
    return [
      typed(op, outer, rows, columns),
      { dtype: op.attributes.dtype("output_idx_type") ?? "int32", shape: outer && [...outer, rows] },
    ];
  },
  (op) => {
    const dtype = requireFloat(op);
    if (op.attributes.dtype("output_idx_type") === "int64") unlowerable("with wide indices");
    return ([value]) => {
      const all = matricesOf(value as Tensor);
      const n = requireSquare(all);
      const outer = (value as Tensor).shape.slice(0, -2);
      const orders = all.matrices.map((matrix) => luDecompose(matrix, n).order ?? refuse("Input is not invertible."));
      const places = { dtype: "int32", shape: [...outer, n], data: Int32Array.from(orders.flat()) } as const;
      return [tensorOf(dtype, [...outer, n, n], all.matrices), places];
    };
  },
);

/** Sign and logarithm of the size of determinants. */
const logDeterminant: Lowering = hostOp(
  (op) => {
    const { outer } = partsOf(op.input(0).shape);
    return [typed(op, outer), typed(op, outer)];
  },
  (op) => {
    const dtype = requireFloat(op);
    return ([value]) => {
      const all = matricesOf(value as Tensor);
      const n = requireSquare(all);
      const outer = (value as Tensor).shape.slice(0, -2);
      const found = all.matrices.map((matrix) => {
        let { sign } = luDecompose(matrix, n);
        let size = sign === 0 ? -Infinity : 0;
        for (let k = 0; k < n && sign !== 0; k++) {
          const pivot = matrix[k * n + k] as number;
          if (pivot < 0) sign = -sign;
          size += Math.log(Math.abs(pivot));
        }
        return [sign, size] as const;
      });
      const part = (of: 0 | 1): Tensor => tensorOf(dtype, outer, [Float64Array.from(found, (each) => each[of])]);
      return elementCount(outer) === found.length ? [part(0), part(1)] : refuse("an empty matrix");
    };
  },
);

/** Least squares. Operands: matrices, right sides, and how much large solutions cost. */
const leastSquares: Lowering = hostOp(
  (op) => {
    const { outer, columns } = partsOf(op.input(0).shape);
    return [typed(op, outer, columns, op.input(1).shape?.at(-1) ?? -1)];
  },
  (op) => {
    const dtype = requireFloat(op);
    if (!op.attributes.bool("fast", true)) unlowerable("without normal equations");
    return ([value, right, cost]) => {
      const { rows, columns, matrices } = matricesOf(value as Tensor);
      const sides = matricesOf(right as Tensor);
      if (sides.rows !== rows || sides.matrices.length !== matrices.length) return refuse("the right sides do not fit");
      const weight = Number((cost as Tensor).data[0] ?? 0);
      const found = matrices.map((matrix, index) =>
        normalEquations(matrix, rows, columns, sides.matrices[index] as Matrix, sides.columns, weight),
      );
      return [tensorOf(dtype, [...(value as Tensor).shape.slice(0, -2), columns, sides.columns], found)];
    };
  },
);

export const DECOMPOSITION: LoweringTable = {
  LogMatrixDeterminant: logDeterminant,
  Lu: lu,
  MatrixSolveLs: leastSquares,
  Qr: qr,
  SelfAdjointEigV2: valuesOnly(
    "compute_v",
    (rows) => rows,
    (matrix, rows, columns) => eigenvalues(matrix, requireSquare({ rows, columns })),
  ),
  Svd: valuesOnly("compute_uv", Math.min, singularValues),
};
