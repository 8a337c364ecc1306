// Small dense matrices, row by row in double precision.

import { refuse } from "./refusal.ts";

export type Matrix = Float64Array;

/** Sweeps after which eigenvalues have long settled. */
const MAX_SWEEPS = 60;

/** LU with row exchanges, in place: the order of rows and the sign of the exchanges; no order where the matrix is singular. */
export function luDecompose(matrix: Matrix, n: number): { order: number[] | undefined; sign: number } {
  const order = Array.from({ length: n }, (_, row) => row);
  let sign = 1;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let row = k + 1; row < n; row++) {
      if (Math.abs(matrix[row * n + k] as number) > Math.abs(matrix[pivot * n + k] as number)) pivot = row;
    }
    if (matrix[pivot * n + k] === 0) return { order: undefined, sign: 0 };
    if (pivot !== k) {
      const swapped = matrix.slice(k * n, (k + 1) * n);
      matrix.copyWithin(k * n, pivot * n, (pivot + 1) * n);
      matrix.set(swapped, pivot * n);
      [order[k], order[pivot]] = [order[pivot] as number, order[k] as number];
      sign = -sign;
    }
    for (let row = k + 1; row < n; row++) {
      const factor = (matrix[row * n + k] as number) / (matrix[k * n + k] as number);
      matrix[row * n + k] = factor;
      for (let column = k + 1; column < n; column++)
        matrix[row * n + column] = (matrix[row * n + column] as number) - factor * (matrix[k * n + column] as number);
    }
  }
  return { order, sign };
}

/** Solves triangular equations in place of the right sides. */
export function substitute(
  matrix: Matrix,
  n: number,
  right: Matrix,
  width: number,
  isLower: boolean,
  isUnit: boolean,
): void {
  for (let step = 0; step < n; step++) {
    const row = isLower ? step : n - 1 - step;
    for (let column = 0; column < width; column++) {
      let value = right[row * width + column] as number;
      for (let k = isLower ? 0 : row + 1; k < (isLower ? row : n); k++)
        value -= (matrix[row * n + k] as number) * (right[k * width + column] as number);
      right[row * width + column] = isUnit ? value : value / (matrix[row * n + row] as number);
    }
  }
}

export function solved(matrix: Matrix, n: number, right: Matrix, width: number): Matrix {
  const { order } = luDecompose(matrix, n);
  if (!order) return refuse("a matrix has no inverse");
  const result = new Float64Array(right.length);
  for (const [row, from] of order.entries()) result.set(right.subarray(from * width, (from + 1) * width), row * width);
  substitute(matrix, n, result, width, true, true);
  substitute(matrix, n, result, width, false, false);
  return result;
}

export function transposed(matrix: Matrix, n: number): Matrix {
  return Float64Array.from(matrix, (_, index) => matrix[(index % n) * n + Math.floor(index / n)] as number);
}

export function identity(n: number): Matrix {
  return Float64Array.from({ length: n * n }, (_, index) => (index % (n + 1) === 0 ? 1 : 0));
}

/** The lower triangle whose product with its transpose is the matrix. */
export function cholesky(matrix: Matrix, n: number): Matrix {
  const lower = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = matrix[row * n + column] as number;
      for (let k = 0; k < column; k++) sum -= (lower[row * n + k] as number) * (lower[column * n + k] as number);
      if (row === column && sum <= 0) refuse("a matrix is not positive definite");
      lower[row * n + column] = row === column ? Math.sqrt(sum) : sum / (lower[column * n + column] as number);
    }
  }
  return lower;
}

/**
 * Householder's reflections: an orthogonal matrix of `inner` columns and an upper triangle. Signs are as LAPACK and Eigen choose them:
 * a diagonal element has the sign opposite to the one that was there.
 */
export function householder(matrix: Matrix, rows: number, columns: number, inner: number): { q: Matrix; r: Matrix } {
  const r = matrix.slice();
  const whole = identity(rows);
  for (let k = 0; k < Math.min(rows - 1, columns); k++) {
    let tail = 0;
    for (let i = k + 1; i < rows; i++) tail += (r[i * columns + k] as number) ** 2;
    if (tail === 0) continue;
    const head = r[k * columns + k] as number;
    const size = Math.sqrt(head * head + tail);
    const beta = head >= 0 ? -size : size;
    const v = Float64Array.from({ length: rows }, (_, i) =>
      i < k ? 0 : i === k ? 1 : (r[i * columns + k] as number) / (head - beta),
    );
    const tau = (beta - head) / beta;
    reflect(r, rows, columns, v, tau);
    // The transpose of Q gathers the reflections as R does.
    reflect(whole, rows, rows, v, tau);
  }
  const q = Float64Array.from(
    { length: rows * inner },
    (_, at) => whole[(at % inner) * rows + Math.floor(at / inner)] as number,
  );
  const upper = Float64Array.from({ length: inner * columns }, (_, at) =>
    at % columns < Math.floor(at / columns) ? 0 : (r[at] as number),
  );
  return { q, r: upper };
}

/** matrix - tau v (v' matrix), in place. */
function reflect(matrix: Matrix, rows: number, columns: number, v: Matrix, tau: number): void {
  for (let column = 0; column < columns; column++) {
    let dot = 0;
    for (let i = 0; i < rows; i++) dot += (v[i] as number) * (matrix[i * columns + column] as number);
    for (let i = 0; i < rows; i++) {
      const at = i * columns + column;
      matrix[at] = (matrix[at] as number) - tau * dot * (v[i] as number);
    }
  }
}

/** Eigenvalues of a symmetric matrix in ascending order, by Jacobi's rotations. Only its lower triangle is read. */
export function eigenvalues(matrix: Matrix, n: number): Matrix {
  const a = Float64Array.from(matrix, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    return matrix[Math.max(row, column) * n + Math.min(row, column)] as number;
  });
  const at = (row: number, column: number): number => a[row * n + column] as number;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let rest = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rest += at(p, q) ** 2;
    if (rest === 0) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (at(p, q) === 0) continue;
        const theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++)
          [a[k * n + p], a[k * n + q]] = [c * at(k, p) - s * at(k, q), s * at(k, p) + c * at(k, q)];
        for (let k = 0; k < n; k++)
          [a[p * n + k], a[q * n + k]] = [c * at(p, k) - s * at(q, k), s * at(p, k) + c * at(q, k)];
      }
    }
  }
  return Float64Array.from({ length: n }, (_, k) => at(k, k)).toSorted();
}

/** Singular values in descending order, by one-sided rotations (Hestenes), which keep small ones exact. */
export function singularValues(matrix: Matrix, rows: number, columns: number): Matrix {
  const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
  // The shorter side's vectors, one behind the other.
  const vectors = Array.from({ length: count }, (_, k) =>
    Float64Array.from({ length }, (_unused, i) => matrix[rows < columns ? k * columns + i : i * columns + k] as number),
  );
  const dot = (a: Matrix, b: Matrix): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let isSettled = true;
    for (const [p, a] of vectors.entries()) {
      for (const b of vectors.slice(p + 1)) {
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        if (Math.abs(ab) <= Number.EPSILON * Math.sqrt(aa * bb)) continue;
        isSettled = false;
        const theta = (bb - aa) / (2 * ab);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        for (let i = 0; i < length; i++) {
          const [x, y] = [a[i] as number, b[i] as number];
          [a[i], b[i]] = [c * (x - t * y), c * (t * x + y)];
        }
      }
    }
    if (isSettled) break;
  }
  return Float64Array.from(vectors, (each) => Math.sqrt(dot(each, each))).toSorted((a, b) => b - a);
}

/** The solution of least squares by its normal equations; `cost` weighs the size of the solution. */
export function normalEquations(
  matrix: Matrix,
  rows: number,
  columns: number,
  right: Matrix,
  width: number,
  cost: number,
): Matrix {
  const times = (other: Matrix, across: number): Matrix =>
    Float64Array.from({ length: columns * across }, (_, at) => {
      const [i, j] = [Math.floor(at / across), at % across];
      let sum = 0;
      for (let k = 0; k < rows; k++) sum += (matrix[k * columns + i] as number) * (other[k * across + j] as number);
      return sum;
    });
  const square = times(matrix, columns);
  for (let k = 0; k < columns; k++) square[k * (columns + 1)] = (square[k * (columns + 1)] as number) + cost;
  return rows < columns && cost === 0
    ? refuse("more unknowns than equations")
    : solved(square, columns, times(right, width), width);
}
