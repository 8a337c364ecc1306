// tf.SequenceExample messages as columns of tensors: a context, which is as an Example, and lists of features, one for each step.

import { fromBinary } from "@bufbuild/protobuf";
import { SequenceExampleSchema, type SequenceExample } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import { elementCount, type DType, type Tensor } from "@cloister/encoding/tensor";
import { type Element, fromElements, int64Tensor } from "./elements.ts";
import {
  type DenseFeature,
  ExampleBatch,
  type ListFeature,
  MAX_ELEMENTS,
  type RaggedFeature,
  splitsOf,
  valuesOf,
} from "./example.ts";
import { refuse } from "./refusal.ts";

/** The values of each step. */
type Steps = readonly (readonly Element[])[];

export interface DenseListFeature extends DenseFeature {
  /** An example without the list has no steps; else it is refused. */
  readonly mayBeMissing: boolean;
}

/** The context and the feature lists of some messages. */
export class SequenceExampleBatch {
  readonly context: ExampleBatch;
  readonly #examples: readonly SequenceExample[];
  readonly #isSingle: boolean;

  /**
   * @param isSingle there is one message, and the results of feature lists have no batch dimension
   * @throws HostRefusal where a message cannot be read
   */
  constructor(serialized: readonly Uint8Array[], isSingle: boolean) {
    this.#isSingle = isSingle;
    this.#examples = serialized.map((bytes) => {
      try {
        return fromBinary(SequenceExampleSchema, bytes);
      } catch {
        return refuse("an example is not a tf.SequenceExample message");
      }
    });
    this.context = new ExampleBatch(this.#examples.map(({ context }) => context?.feature ?? {}));
  }

  /** The steps of a feature list in each example, `undefined` where it has none. */
  #column(key: string, dtype: DType): (Steps | undefined)[] {
    return this.#examples.map(({ featureLists }) => {
      const lists = featureLists?.featureList ?? {};
      const list = Object.hasOwn(lists, key) ? lists[key] : undefined;
      return list?.feature.map((feature) => valuesOf(feature, key, dtype) ?? []);
    });
  }

  /** Coordinates (example, step, place), values and shape. */
  sparse({ key, dtype }: ListFeature): [indices: Tensor, values: Tensor, shape: Tensor] {
    const examples = this.#column(key, dtype).map((steps) => steps ?? []);
    const places = examples.flatMap((steps, example) =>
      steps.flatMap((values, step) => values.map((_, place) => this.#unbatched([example, step, place]))),
    );
    const width = longest(examples.flat());
    const shape = this.#unbatched([examples.length, longest(examples), width]);
    return [
      int64Tensor([places.length, shape.length], places.flat()),
      fromElements(dtype, [places.length], examples.flat(2)),
      int64Tensor([shape.length], shape),
    ];
  }

  /** [batch, most steps, ...shape], shorter lists filled up with zeros or empty strings, and the number of steps of each example. */
  dense({ key, dtype, shape, mayBeMissing }: DenseListFeature): [values: Tensor, lengths: Tensor] {
    const examples = this.#column(key, dtype).map(
      (steps) => steps ?? (mayBeMissing ? [] : refuse(`the feature list ${key} is required`)),
    );
    const count = elementCount(shape);
    if (examples.some((steps) => steps.some((values) => values.length !== count)))
      refuse(`a step of the feature list ${key} has a wrong number of values`);
    const steps = longest(examples);
    if (examples.length * steps * count > MAX_ELEMENTS) refuse(`the feature list ${key} has too many steps`);
    const zero = { string: "", int64: 0n }[dtype as string] ?? 0;
    const rows = examples.flatMap((each) => [
      ...each.flat(),
      ...Array<Element>((steps - each.length) * count).fill(zero),
    ]);
    return [
      fromElements(dtype, [...this.#unbatched([examples.length, steps]), ...shape], rows),
      int64Tensor(
        this.#unbatched([examples.length]),
        examples.map(({ length }) => length),
      ),
    ];
  }

  /** Values of all steps behind each other, where each example's steps begin, and where each step's values do. */
  ragged({ key, dtype, splitDType }: RaggedFeature): [values: Tensor, outer: Tensor, inner: Tensor] {
    const examples = this.#column(key, dtype).map((steps) => steps ?? []);
    const steps = examples.flat();
    const values = steps.flat();
    const outer = this.#isSingle ? noSplits(splitDType) : splitsOf(splitDType, examples);
    return [fromElements(dtype, [values.length], values), outer, splitsOf(splitDType, steps)];
  }

  /** Sizes or coordinates without those of the batch, where there is none. */
  #unbatched(sizes: readonly number[]): readonly number[] {
    return this.#isSingle ? sizes.slice(1) : sizes;
  }
}

/** A single example has no splits of its own: TensorFlow gives a scalar that means nothing. */
export function noSplits(dtype: DType): Tensor {
  return fromElements(dtype, [], [dtype === "int64" ? 0n : 0]);
}

function longest(lists: readonly (readonly unknown[])[]): number {
  return lists.reduce((most, { length }) => Math.max(most, length), 0);
}
