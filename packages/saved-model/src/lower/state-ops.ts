// Ops on what a model remembers between requests: variables and hash tables.

import { type DType, elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../host/refusal.ts";
import { COMBINE, type Combine, scatterNd, scatterRows } from "../host/scatter.ts";
import type { ModelState } from "../host/state.ts";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { fromElements, int64Tensor, strings } from "../host/elements.ts";
import { parseNumber } from "../host/number-text.ts";
import { newArray } from "../tensor/dtype.ts";
import { type Emitter, type Type, unlowerable } from "./emitter.ts";
import type { LoweringTable, Op } from "./op.ts";
import { STATEFUL_RANDOM } from "./stateful-random.ts";
import type { Shape, TensorValue } from "./value.ts";

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

/** Ops that change the variable that is their first operand; what they give, unless it is the variable. */
export const VARIABLE_CHANGES: Readonly<Record<string, (op: Op) => readonly TensorValue[] | undefined>> = {
  ...STATEFUL_RANDOM,
  Assign: change((_, [value]) => value as Tensor),
  AssignAdd: change(sum(1)),
  AssignAddVariableOp: change(sum(1)),
  AssignSub: change(sum(-1)),
  AssignSubVariableOp: change(sum(-1)),
  AssignVariableOp: change((_, [value]) => value as Tensor),
  ...scatterChanges("Scatter", (current, indices, updates, combine) => scatterRows(current, indices, updates, combine)),
  ...scatterChanges("ScatterNd", (current, indices, updates, combine) => scatterNd(current, indices, updates, combine)),
};

/** Gives a variable's next value. */
type Next = (current: () => Tensor, operands: readonly Tensor[]) => Tensor;

function change(next: Next): (op: Op) => undefined {
  return (op) => {
    const key = op.requireResource();
    const run = (operands: readonly Tensor[], state: ModelState): [] => {
      state.assign(
        key,
        next(() => state.readVariable(key), operands),
      );
      return [];
    };
    op.emit.host({ op: op.node.op, node: op.node.name, run }, op.inputs, [], "changes");
  };
}

function sum(sign: 1 | -1): Next {
  return (current, [value]) => {
    const { dtype, shape, data } = current();
    if (!value || dtype === "string" || dtype !== value.dtype || elementCount(shape) !== elementCount(value.shape)) {
      return refuse("a variable and its increment differ in type or shape");
    }
    const result = newArray(dtype, data.length);
    const [old, more] = [data as NumericArray, value.data as NumericArray];
    const combine = sign === 1 ? COMBINE.Add : COMBINE.Sub;
    // Typed arrays wrap as TensorFlow's kernels do.
    for (let i = 0; i < result.length; i++) result[i] = combine(old[i] as number, more[i] as number) as never;
    return { dtype, shape, data: result };
  };
}

type Scatter = (current: Tensor, indices: Tensor, updates: Tensor, combine: Combine) => Tensor;

/** The ops that scatter into a variable, by reference and by resource. */
function scatterChanges(stem: string, scatter: Scatter): Record<string, (op: Op) => void> {
  const kinds = Object.entries(COMBINE).map(([kind, combine]) => {
    const next: Next = (current, [indices, updates]) =>
      scatter(current(), indices as Tensor, updates as Tensor, combine);
    return [kind, change(next)] as const;
  });
  return Object.fromEntries(
    kinds.flatMap(([kind, made]) => [`${stem}${kind}`, `Resource${stem}${kind}`].map((name) => [name, made])),
  );
}

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

function remove(op: Op): TensorValue[] {
  const key = op.requireResource();
  const run = ([keys]: readonly Tensor[], state: ModelState): [] => {
    state.table(key).remove(keys as Tensor);
    return [];
  };
  return op.emit.host({ op: op.node.op, node: op.node.name, run }, [op.input(0)], [], "changes");
}

function find(op: Op): TensorValue[] {
  const key = op.requireResource();
  const [keys, fallback] = [op.input(0), op.input(1)];
  const run = (
    inputs: readonly Tensor[],
    state: { table(key: string): { find(a: Tensor, b: Tensor): Tensor } },
  ): Tensor[] => [state.table(key).find(inputs[0] as Tensor, inputs[1] as Tensor)];
  const { valueShape } = tableOf(op);
  const type = { dtype: fallback.dtype, shape: keys.shape && valueShape && [...keys.shape, ...valueShape] };
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
  const { keyDType, valueDType } = tableOf(op);
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
        table.insert(
          column(lines, keyColumn, delimiter, keyDType),
          column(lines, valueColumn, delimiter, valueDType),
          true,
        );
        return [];
      },
    },
    [op.input(0)],
    [],
    "changes",
  );
}

/** A column as the table wants it: text or numbers. Line numbers are int64. */
function column(lines: readonly string[], index: number, delimiter: string, dtype: DType): Tensor {
  const shape = [lines.length];
  if (index === LINE_NUMBER) return int64Tensor(shape, [...lines.keys()]);
  const cells = lines.map((line) =>
    index === WHOLE_LINE ? line : (line.split(delimiter)[index] ?? refuse("an asset has too few columns")),
  );
  if (dtype === "string") return { dtype, shape, data: cells.map((cell) => utf8(cell)) };
  return fromElements(
    dtype,
    shape,
    cells.map((cell) => parseNumber(cell, dtype)),
  );
}

function tableOf(op: Op): { readonly keyDType: DType; readonly valueDType: DType; readonly valueShape: Shape } {
  const { handle } = op;
  if (handle?.kind !== "table") return unlowerable("its table is no table");
  const { keyDType = unlowerable("keys of such a dtype"), valueDType = unlowerable("values of such a dtype") } = handle;
  return { keyDType, valueDType, valueShape: handle.valueShape };
}

/** All entries, in the order in which they came. */
function exportAll(op: Op): TensorValue[] {
  const key = op.requireResource();
  const { keyDType, valueDType, valueShape } = tableOf(op);
  const run = (_: readonly unknown[], state: ModelState): Tensor[] => {
    const entries = [...state.table(key).entries()];
    const of = (place: 0 | 1, dtype: DType, shape: readonly number[]): Tensor =>
      fromElements(
        dtype,
        [entries.length, ...shape],
        entries.flatMap((entry) => entry[place]),
      );
    return [of(0, keyDType, []), of(1, valueDType, valueShape ?? [])];
  };
  const types: Type[] = [
    { dtype: keyDType, shape: [-1] },
    { dtype: valueDType, shape: valueShape && [-1, ...valueShape] },
  ];
  return op.emit.host({ op: op.node.op, node: op.node.name, run }, [], types, "reads");
}

export const STATE: LoweringTable = {
  InitializeTable: insert(true),
  InitializeTableFromTextFile: insertFile,
  InitializeTableFromTextFileV2: insertFile,
  InitializeTableV2: insert(true),
  LookupTableExport: exportAll,
  LookupTableExportV2: exportAll,
  LookupTableFind: find,
  LookupTableFindV2: find,
  LookupTableImport: insert(false),
  LookupTableImportV2: insert(false),
  LookupTableInsert: insert(false),
  LookupTableInsertV2: insert(false),
  LookupTableRemoveV2: remove,
  LookupTableSize: size,
  LookupTableSizeV2: size,
};
