// tf.Example messages as columns of tensors, as the ParseExample family of ops gives them.

import { fromBinary } from "@bufbuild/protobuf";
import { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import type { Feature } from "@cloister/encoding/gen/tensorflow/core/example/feature_pb";
import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "./refusal.ts";
import { type Element, elementsOf, fromElements, int64Tensor, latin1 } from "./elements.ts";

/** A feature that every example has as many values of, or a default. */
export interface DenseFeature {
  readonly key: string;
  readonly dtype: DType;
  /** The first size is -1 where examples may have any number of rows: shorter ones are filled up with the default. */
  readonly shape: readonly number[];
}

export interface ListFeature {
  readonly key: string;
  readonly dtype: DType;
}

export interface RaggedFeature extends ListFeature {
  readonly splitDType: DType;
}

/** No batch may grow beyond this by filling up short examples. */
export const MAX_ELEMENTS = 2 ** 26;

export type Values = readonly Element[] | undefined;

/** The values of features, example by example. */
export class ExampleBatch {
  readonly #examples: readonly Readonly<Record<string, Feature>>[];

  constructor(examples: readonly Readonly<Record<string, Feature>>[]) {
    this.#examples = examples;
  }

  /** @throws HostRefusal where a message cannot be read */
  static read(serialized: readonly Uint8Array[]): ExampleBatch {
    const featuresOf = (bytes: Uint8Array): Readonly<Record<string, Feature>> => {
      try {
        return fromBinary(ExampleSchema, bytes).features?.feature ?? {};
      } catch {
        return refuse("an example is not a tf.Example message");
      }
    };
    return new ExampleBatch(serialized.map(featuresOf));
  }

  get size(): number {
    return this.#examples.length;
  }

  /** Values of a feature in each example, `undefined` where it has none. */
  #column(key: string, dtype: DType): Values[] {
    return this.#examples.map((features) => {
      const feature = Object.hasOwn(features, key) ? features[key] : undefined;
      return feature && valuesOf(feature, key, dtype);
    });
  }

  /** [batch, ...shape]. `fallback` has no elements where the feature is required. */
  dense({ key, dtype, shape }: DenseFeature, fallback: Tensor): Tensor {
    const defaults = elementsOf(fallback);
    const column = this.#column(key, dtype);
    if (shape[0] === -1) return filledUp(key, dtype, shape, column, defaults[0] ?? (dtype === "string" ? "" : 0));
    const count = elementCount(shape);
    const rows = column.map((values) => {
      const row = values ?? defaults;
      if (values === undefined && row.length === 0 && count > 0) return refuse(`the feature ${key} is required`);
      // A default of one element fills the whole shape.
      const whole = values === undefined && row.length === 1 ? Array<Element>(count).fill(row[0] as Element) : row;
      return whole.length === count ? whole : refuse(`the feature ${key} has a wrong number of values`);
    });
    return fromElements(dtype, [column.length, ...shape], rows.flat());
  }

  /** Coordinates, values and shape of a matrix with a row of values for each example. */
  sparse({ key, dtype }: ListFeature): [indices: Tensor, values: Tensor, shape: Tensor] {
    const rows = this.#column(key, dtype).map((values) => values ?? []);
    const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
    const indices = rows.flatMap((row, example) => row.flatMap((_, place) => [example, place]));
    return [
      int64Tensor([indices.length / 2, 2], indices),
      fromElements(dtype, [indices.length / 2], rows.flat()),
      int64Tensor([2], [rows.length, width]),
    ];
  }

  /** Values of all examples behind each other, and where each one's begin. */
  ragged({ key, dtype, splitDType }: RaggedFeature): [values: Tensor, splits: Tensor] {
    const rows = this.#column(key, dtype).map((values) => values ?? []);
    const values = rows.flat();
    return [fromElements(dtype, [values.length], values), splitsOf(splitDType, rows)];
  }
}

/** Where each row begins when they stand behind each other, and where the last one ends. */
export function splitsOf(dtype: DType, rows: readonly (readonly unknown[])[]): Tensor {
  let end = 0;
  const ends = [0, ...rows.map((row) => (end += row.length))];
  return fromElements(dtype, [ends.length], dtype === "int64" ? ends.map(BigInt) : ends);
}

function filledUp(
  key: string,
  dtype: DType,
  shape: readonly number[],
  column: readonly Values[],
  fill: Element,
): Tensor {
  const stride = elementCount(shape.slice(1));
  const longest = column.reduce((most, values) => Math.max(most, values?.length ?? 0), 0);
  if (column.some((values) => (values?.length ?? 0) % stride !== 0))
    refuse(`the feature ${key} has a wrong number of values`);
  if (longest * column.length > MAX_ELEMENTS) refuse(`the feature ${key} has too many values`);
  const filler = dtype === "int64" ? BigInt(fill) : fill;
  const rows = column.map((values) => Array.from({ length: longest }, (_, index) => values?.[index] ?? filler));
  return fromElements(dtype, [column.length, longest / stride, ...shape.slice(1)], rows.flat());
}

/** The values of a feature, or `undefined` for one without a kind, which counts as absent. */
export function valuesOf({ kind }: Feature, key: string, dtype: DType): Values {
  if (kind.case === undefined) return undefined;
  if (kind.case === "bytesList" && dtype === "string") return kind.value.value.map(latin1);
  if (kind.case === "floatList" && dtype === "float") return kind.value.value;
  if (kind.case === "int64List" && dtype === "int64") return kind.value.value;
  return refuse(`the feature ${key} is of another type than ${dtype}`);
}
