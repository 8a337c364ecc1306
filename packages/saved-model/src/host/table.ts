import type { Tensor } from "@cloister/encoding/tensor";
import { elementCount } from "@cloister/encoding/tensor";
import { elementsOf, fromElements, type Element } from "./elements.ts";
import { refuse } from "./refusal.ts";

/** More entries than this are refused: a model that wants them would fill the memory. */
const MAX_ENTRIES = 2 ** 24;

/** A hash table from scalars to scalars. */
export class HostTable {
  readonly #entries = new Map<Element, Element>();
  #isInitialized = false;

  get size(): number {
    return this.#entries.size;
  }

  get isInitialized(): boolean {
    return this.#isInitialized;
  }

  entries(): Iterable<readonly [Element, Element]> {
    return this.#entries;
  }

  /** Adds entries. `isOnce`: as TensorFlow's static tables do, a second value for a key is refused. */
  insert(keys: Tensor, values: Tensor, isOnce: boolean): void {
    const [from, to] = [elementsOf(keys), elementsOf(values)];
    if (from.length !== to.length) refuse("a table has as many keys as values");
    if (this.#entries.size + from.length > MAX_ENTRIES) refuse("a table has too many entries");
    for (const [index, key] of from.entries()) {
      const value = to[index] as Element;
      const known = this.#entries.get(key);
      if (isOnce && known !== undefined && known !== value) refuse("a table has two values for a key");
      this.#entries.set(key, value);
    }
    this.#isInitialized = true;
  }

  /** The values of `keys`, and `fallback` for those that it does not have. */
  find(keys: Tensor, fallback: Tensor): Tensor {
    const [other] = elementsOf(fallback);
    if (other === undefined || elementCount(fallback.shape) !== 1) return refuse("a table's default is one value");
    const found = elementsOf(keys).map((key) => this.#entries.get(key) ?? other);
    return fromElements(fallback.dtype, keys.shape, found);
  }
}
