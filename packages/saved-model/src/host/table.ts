import type { Tensor } from "@cloister/encoding/tensor";
import { elementCount } from "@cloister/encoding/tensor";
import { elementsOf, fromElements, type Element } from "./elements.ts";
import { refuse } from "./refusal.ts";

/** More entries than this are refused: a model that wants them would fill the memory. */
const MAX_ENTRIES = 2 ** 24;

/** A value: a scalar, or the elements of a tensor that is the same size for all keys. */
type Value = Element | readonly Element[];

/** A hash table from scalars to scalars or small tensors. */
export class HostTable {
  readonly #entries = new Map<Element, Value>();
  #isInitialized = false;

  get size(): number {
    return this.#entries.size;
  }

  get isInitialized(): boolean {
    return this.#isInitialized;
  }

  entries(): Iterable<readonly [Element, Value]> {
    return this.#entries;
  }

  /** Adds entries. `isOnce`: as TensorFlow's static tables do, a second value for a key is refused. */
  insert(keys: Tensor, values: Tensor, isOnce: boolean): void {
    const [from, to] = [elementsOf(keys), elementsOf(values)];
    const width = from.length === 0 ? 1 : to.length / from.length;
    if (!Number.isInteger(width)) refuse("a table has as many keys as values");
    if (this.#entries.size + from.length > MAX_ENTRIES) refuse("a table has too many entries");
    const isScalar = values.shape.length <= keys.shape.length;
    for (const [index, key] of from.entries()) {
      const value = isScalar ? (to[index] as Element) : to.slice(index * width, (index + 1) * width);
      const known = this.#entries.get(key);
      if (isOnce && known !== undefined && known !== value) refuse("a table has two values for a key");
      this.#entries.set(key, value);
    }
    this.#isInitialized = true;
  }

  remove(keys: Tensor): void {
    for (const key of elementsOf(keys)) this.#entries.delete(key);
  }

  /** The values of `keys`, and `fallback` for those that it does not have. */
  find(keys: Tensor, fallback: Tensor): Tensor {
    const other = elementsOf(fallback);
    const found = elementsOf(keys).flatMap((key) => this.#entries.get(key) ?? other);
    const shape = [...keys.shape, ...fallback.shape];
    if (found.length !== elementCount(shape)) return refuse("a table's default is not like its values");
    return fromElements(fallback.dtype, shape, found);
  }
}
