// Square matrices, one by one along the axes before: diagonals, and what linear algebra needs. The host computes in double
// precision.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "../../host/elements.ts";
import {
  cholesky,
  luDecompose,
  identity,
  type Matrix,
  solved,
  substitute,
  transposed,
} from "../../host/linear-algebra.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 26;

export type { Matrix };

export function requireFloat(op: Op): "float" | "double" {
  const { dtype } = op.input(0);
  return dtype === "float" || dtype === "double" ? dtype : unlowerable(`on ${dtype}`);
}

/** The matrices of a tensor. */
export function matricesOf({ shape, data }: Tensor): { rows: number; columns: number; matrices: Matrix[] } {
  const [rows = 0, columns = 0] = shape.slice(-2);
  if (shape.length < 2) return refuse("no matrix");
  const size = rows * columns;
  const count = size === 0 ? 0 : data.length / size;
  const matrices = Array.from({ length: count }, (_, index) =>
    Float64Array.from((data as Float64Array).subarray(index * size, (index + 1) * size)),
  );
  return { rows, columns, matrices };
}

export function tensorOf(dtype: "float" | "double", shape: readonly number[], parts: readonly Matrix[]): Tensor {
  const data = newArray(dtype, elementCount(shape)) as Float64Array;
  let offset = 0;
  for (const part of parts) {
    data.set(part, offset);
    offset += part.length;
  }
  return { dtype, shape, data };
}

export function requireSquare({ rows, columns }: { rows: number; columns: number }): number {
  return rows === columns ? rows : refuse("a matrix is not square");
}

/** For each matrix one of the same size. */
function perMatrix(map: (matrix: Matrix, n: number, op: Op) => Matrix): Lowering {
  return hostOp(
    sameShape((op) => op.input(0).dtype),
    (op) => {
      const dtype = requireFloat(op);
      return ([value]) => {
        const all = matricesOf(value as Tensor);
        const n = requireSquare(all);
        return [
          tensorOf(
            dtype,
            (value as Tensor).shape,
            all.matrices.map((matrix) => map(matrix, n, op)),
          ),
        ];
      };
    },
  );
}

const determinant: Lowering = hostOp(
  (op) => [{ dtype: op.input(0).dtype, shape: op.input(0).shape?.slice(0, -2) }],
  (op) => {
    const dtype = requireFloat(op);
    return ([value]) => {
      const all = matricesOf(value as Tensor);
      const n = requireSquare(all);
      const results = all.matrices.map((matrix) => {
        const { sign } = luDecompose(matrix, n);
        return matrix.reduce((product, element, index) => (index % (n + 1) === 0 ? product * element : product), sign);
      });
      return [tensorOf(dtype, (value as Tensor).shape.slice(0, -2), [Float64Array.from(results)])];
    };
  },
);

/** Solves equations for each matrix. Operands: matrices, right sides. */
function solving(solve: (matrix: Matrix, n: number, right: Matrix, width: number, op: Op) => Matrix): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(1).dtype, shape: op.input(1).shape }],
    (op) => {
      const dtype = requireFloat(op);
      return ([left, right]) => {
        const [a, b] = [matricesOf(left as Tensor), matricesOf(right as Tensor)];
        const n = requireSquare(a);
        if (b.rows !== n || a.matrices.length !== b.matrices.length) return refuse("matrices do not go together");
        const results = a.matrices.map((matrix, index) => solve(matrix, n, b.matrices[index] as Matrix, b.columns, op));
        return [tensorOf(dtype, (right as Tensor).shape, results)];
      };
    },
  );
}

const solveMatrix = solving((matrix, n, right, width, op) =>
  solved(op.attributes.bool("adjoint", false) ? transposed(matrix, n) : matrix, n, right, width),
);

const solveTriangle = solving((matrix, n, right, width, op) => {
  const isAdjoint = op.attributes.bool("adjoint", false);
  const isLower = op.attributes.bool("lower", true) !== isAdjoint;
  substitute(isAdjoint ? transposed(matrix, n) : matrix, n, right, width, isLower, false);
  return right;
});

/** Only the main diagonal; others are refused when the program runs. */
function requireMain(diagonal: Tensor | undefined): void {
  if (diagonal && integers(diagonal).some((index) => index !== 0)) refuse("another diagonal than the main one");
}

/** Square matrices with the last axis as their diagonal. Further operands of the later versions: which diagonal, sizes, padding. */
const diagonalMatrix: Lowering = hostOp(
  (op) => {
    const { dtype, shape } = op.input(0);
    return [{ dtype, shape: shape && [...shape, shape.at(-1) ?? -1] }];
  },
  (op) => {
    const { dtype } = op.input(0);
    if (dtype === "string") return unlowerable("on strings");
    return ([value, which, rows, columns]) => {
      requireMain(which);
      const { shape, data } = value as Tensor;
      const n = shape.at(-1) ?? refuse("no diagonal");
      const given = [rows, columns].map((each) => (each ? (integers(each)[0] ?? -1) : -1));
      if (given.some((size) => size >= 0 && size !== n)) return refuse("a matrix that is not square");
      if (data.length * n > MAX_ELEMENTS) return refuse("a tensor of that size");
      const result = newArray(dtype, data.length * n);
      for (const [index, element] of (data as NumericArray).entries())
        result[index * n + (index % n)] = element as never;
      return [{ dtype, shape: [...shape, n], data: result }];
    };
  },
);

const diagonalOf: Lowering = hostOp(
  (op) => {
    const { dtype, shape } = op.input(0);
    const [rows = -1, columns = -1] = shape?.slice(-2) ?? [];
    return [{ dtype, shape: shape && [...shape.slice(0, -2), rows < 0 || columns < 0 ? -1 : Math.min(rows, columns)] }];
  },
  (op) => {
    const { dtype } = op.input(0);
    if (dtype === "string") return unlowerable("on strings");
    return ([value, which]) => {
      requireMain(which);
      const { shape, data } = value as Tensor;
      const [rows = 0, columns = 0] = shape.slice(-2);
      const n = Math.min(rows, columns);
      const count = elementCount(shape.slice(0, -2));
      const result = newArray(dtype, count * n);
      for (let index = 0; index < result.length; index++) {
        const [matrix, place] = [Math.floor(index / n), index % n];
        result[index] = (data as NumericArray)[matrix * rows * columns + place * (columns + 1)] as never;
      }
      return [{ dtype, shape: [...shape.slice(0, -2), n], data: result }];
    };
  },
);

/** Operands: matrices, their new diagonals, then which diagonal. */
const withDiagonal: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  () =>
    ([value, diagonal, which]) => {
      requireMain(which);
      const { dtype, shape, data } = value as Tensor;
      if (dtype === "string") return refuse("a matrix of strings");
      const [rows = 0, columns = 0] = shape.slice(-2);
      const n = Math.min(rows, columns);
      const result = data.slice() as NumericArray;
      for (const [index, element] of ((diagonal as Tensor).data as NumericArray).entries()) {
        const [matrix, place] = [Math.floor(index / n), index % n];
        result[matrix * rows * columns + place * (columns + 1)] = element as never;
      }
      return [{ dtype, shape, data: result }];
    },
);

/** Products of vectors of three, along the last axis. */
const cross: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  (op) => {
    const dtype = requireFloat(op);
    return ([left, right]) => {
      const { shape } = left as Tensor;
      const [a, b] = [left, right].map((each) => (each as Tensor).data as Float64Array) as [Float64Array, Float64Array];
      if (shape.at(-1) !== 3 || a.length !== b.length) return refuse("vectors that are not of three");
      const result = newArray(dtype, a.length) as Float64Array;
      for (let index = 0; index < result.length; index++) {
        const [start, axis] = [index - (index % 3), index % 3];
        const [next, last] = [start + ((axis + 1) % 3), start + ((axis + 2) % 3)];
        result[index] = (a[next] as number) * (b[last] as number) - (a[last] as number) * (b[next] as number);
      }
      return [{ dtype, shape, data: result }];
    };
  },
);

export const MATRIX: LoweringTable = {
  Cholesky: perMatrix(cholesky),
  Cross: cross,
  MatrixDeterminant: determinant,
  MatrixDiag: diagonalMatrix,
  MatrixDiagPart: diagonalOf,
  MatrixDiagPartV2: diagonalOf,
  MatrixDiagPartV3: diagonalOf,
  MatrixDiagV2: diagonalMatrix,
  MatrixDiagV3: diagonalMatrix,
  MatrixInverse: perMatrix((matrix, n, op) =>
    solved(op.attributes.bool("adjoint", false) ? transposed(matrix, n) : matrix, n, identity(n), n),
  ),
  MatrixSetDiag: withDiagonal,
  MatrixSetDiagV2: withDiagonal,
  MatrixSetDiagV3: withDiagonal,
  MatrixSolve: solveMatrix,
  MatrixTriangularSolve: solveTriangle,
};
