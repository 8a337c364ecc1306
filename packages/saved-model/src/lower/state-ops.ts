// Ops on what a model remembers between requests: variables and hash tables.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../host/call.ts";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { int64Tensor, strings } from "../host/elements.ts";
import { newArray } from "../tensor/dtype.ts";
import { type Emitter, type Type, unlowerable } from "./emitter.ts";
import type { LoweringTable, Op } from "./op.ts";
import type { TensorValue } from "./value.ts";

/** Reads a variable when the program comes to it. `type` says what kind of tensor it is. */
export function readVariable(emit: Emitter, key: string, { dtype, shape }: Type): TensorValue {
  const [value] = emit.host(
    { op: "ReadVariableOp", node: key, run: (_, state) => [copyOf(state.readVariable(key))] },
    [],
    [{ dtype, shape }],
    "reads",
  );
  return value ?? unlowerable("it has no value");
}

/** What a program reads may leave it: the state keeps its own array. */
function copyOf(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() };
}

/** Ops that change the variable that is their first operand. */
export const VARIABLE_CHANGES: Readonly<Record<string, (op: Op) => void>> = {
  Assign: change((_, value) => value),
  AssignAdd: change(sum(1)),
  AssignAddVariableOp: change(sum(1)),
  AssignSub: change(sum(-1)),
  AssignSubVariableOp: change(sum(-1)),
  AssignVariableOp: change((_, value) => value),
};

function change(next: (current: () => Tensor, value: Tensor) => Tensor): (op: Op) => void {
  return (op) => {
    const key = op.requireResource();
    const run = (
      [value]: readonly Tensor[],
      state: { readVariable(key: string): Tensor; assign(key: string, value: Tensor): void },
    ): [] => {
      state.assign(
        key,
        next(() => state.readVariable(key), value as Tensor),
      );
      return [];
    };
    op.emit.host({ op: op.node.op, node: op.node.name, run }, [op.input(0)], [], "changes");
  };
}

function sum(sign: 1 | -1): (current: () => Tensor, value: Tensor) => Tensor {
  return (current, value) => {
    const { dtype, shape, data } = current();
    if (dtype === "string" || dtype !== value.dtype || elementCount(shape) !== elementCount(value.shape)) {
      return refuse("a variable and its increment differ in type or shape");
    }
    const result = newArray(dtype, data.length);
    const [old, more] = [data as NumericArray, value.data as NumericArray];
    for (let i = 0; i < result.length; i++) {
      const [a, b] = [old[i] as number, more[i] as number];
      // Typed arrays wrap as TensorFlow's kernels do; 64-bit ones hold bigint, on which the same operators work.
      result[i] = (sign === 1 ? a + b : a - b) as never;
    }
    return { dtype, shape, data: result };
  };
}

/** Ops that make a table's handle. */
export const TABLE_OPS: ReadonlySet<string> = new Set([
  "HashTable",
  "HashTableV2",
  "MutableHashTable",
  "MutableHashTableV2",
]);

function insert(isOnce: boolean) {
  return (op: Op): TensorValue[] => {
    const key = op.requireResource();
    return op.emit.host(
      {
        op: op.node.op,
        node: op.node.name,
        run: ([keys, values], state) => {
          const table = state.table(key);
          // A table that a node shares is filled once.
          if (!isOnce || !table.isInitialized) table.insert(keys as Tensor, values as Tensor, isOnce);
          return [];
        },
      },
      [op.input(0), op.input(1)],
      [],
      "changes",
    );
  };
}

function find(op: Op): TensorValue[] {
  const key = op.requireResource();
  const [keys, fallback] = [op.input(0), op.input(1)];
  const run = (
    inputs: readonly Tensor[],
    state: { table(key: string): { find(a: Tensor, b: Tensor): Tensor } },
  ): Tensor[] => [state.table(key).find(inputs[0] as Tensor, inputs[1] as Tensor)];
  const type = { dtype: fallback.dtype, shape: keys.shape };
  return op.emit.host({ op: op.node.op, node: op.node.name, run }, [keys, fallback], [type], "reads");
}

function size(op: Op): TensorValue[] {
  const key = op.requireResource();
  return op.emit.host(
    { op: op.node.op, node: op.node.name, run: (_, state) => [int64Tensor([], [state.table(key).size])] },
    [],
    [{ dtype: "int64", shape: [] }],
    "reads",
  );
}

/** Columns that stand for something else than text between delimiters. */
const LINE_NUMBER = -1;
const WHOLE_LINE = -2;

/** Fills a table from a text file among the assets, line by line. */
function insertFile(op: Op): TensorValue[] {
  const key = op.requireResource();
  const keyColumn = op.attributes.int("key_index", WHOLE_LINE);
  const valueColumn = op.attributes.int("value_index", LINE_NUMBER);
  const delimiter = op.attributes.string("delimiter", "\t");
  const limit = op.attributes.int("vocab_size", -1);
  const offset = op.attributes.int("offset", 0);
  return op.emit.host(
    {
      op: op.node.op,
      node: op.node.name,
      run: ([file], state) => {
        const table = state.table(key);
        if (table.isInitialized) return [];
        const [path] = strings(file as Tensor);
        const text = fromUtf8(state.asset(path ?? new Uint8Array())) ?? refuse("an asset is no text");
        const all = text.split("\n").slice(offset);
        if (all.at(-1) === "") all.pop();
        const lines = (limit >= 0 ? all.slice(0, limit) : all).map((line) => line.replace(/\r$/, ""));
        table.insert(column(lines, keyColumn, delimiter), column(lines, valueColumn, delimiter), true);
        return [];
      },
    },
    [op.input(0)],
    [],
    "changes",
  );
}

/** Line numbers are int64; a column of text is left as strings, or as int64 where the table wants numbers. */
function column(lines: readonly string[], index: number, delimiter: string): Tensor {
  const shape = [lines.length];
  if (index === LINE_NUMBER) return int64Tensor(shape, [...lines.keys()]);
  const cells = lines.map((line) =>
    index === WHOLE_LINE ? line : (line.split(delimiter)[index] ?? refuse("an asset has too few columns")),
  );
  return { dtype: "string", shape, data: cells.map((cell) => utf8(cell)) };
}

export const STATE: LoweringTable = {
  InitializeTable: insert(true),
  InitializeTableFromTextFile: insertFile,
  InitializeTableFromTextFileV2: insertFile,
  InitializeTableV2: insert(true),
  LookupTableFind: find,
  LookupTableFindV2: find,
  LookupTableImport: insert(false),
  LookupTableImportV2: insert(false),
  LookupTableInsert: insert(false),
  LookupTableInsertV2: insert(false),
  LookupTableSize: size,
  LookupTableSizeV2: size,
};
