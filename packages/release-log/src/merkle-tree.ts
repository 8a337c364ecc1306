import { EMPTY_ROOT, HASH_BYTES, nodeHash } from "./merkle.ts";
import { ReleaseLogError } from "./release-log-error.ts";

const FIRST_CAPACITY = 64;

/** A growing list of 32-byte hashes in one piece of memory. */
class HashList {
  #bytes = new Uint8Array(FIRST_CAPACITY * HASH_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(index: number): Uint8Array {
    return this.#bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  push(value: Uint8Array): void {
    const end = this.#length * HASH_BYTES;
    if (end === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(value, end);
    this.#length += 1;
  }

  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }
}

/**
 * The hashes of all complete subtrees, level by level (level k: subtrees of 2^k leaves), about 64 bytes a leaf. Complete
 * subtrees never change, so the root and proofs of every earlier size can be had, each in logarithmic time.
 */
export class MerkleTree {
  readonly #levels: HashList[] = [new HashList()];

  get size(): number {
    return this.#level(0).length;
  }

  /** Adds a leaf by its hash. */
  append(leaf: Uint8Array): void {
    this.#level(0).push(leaf);
    for (let k = 0; this.#level(k).length % 2 === 0; k += 1) {
      const level = this.#level(k);
      this.#level(k + 1).push(nodeHash(level.at(level.length - 2), level.at(level.length - 1)));
    }
  }

  /** Forgets all leaves from `size` on. */
  truncate(size: number): void {
    for (const [k, level] of this.#levels.entries()) level.truncate(Math.floor(size / 2 ** k));
  }

  /** Root over the first `size` leaves. Throws LOG_RANGE. */
  root(size: number = this.size): Uint8Array {
    this.#check(size, this.size);
    return size === 0 ? EMPTY_ROOT : this.#range(0, size);
  }

  /** Path from leaf `index` to the root over the first `size` leaves (RFC 6962, 2.1.1). Throws LOG_RANGE. */
  inclusionPath(index: number, size: number = this.size): Uint8Array[] {
    this.#check(size, this.size);
    this.#check(index, size - 1);
    const path: Uint8Array[] = [];
    let [start, end] = [0, size];
    while (end - start > 1) {
      const middle = start + splitPoint(end - start);
      if (index < middle) {
        path.push(this.#range(middle, end));
        end = middle;
      } else {
        path.push(this.#range(start, middle));
        start = middle;
      }
    }
    return path.reverse();
  }

  /** Proof that the tree of `newer` leaves starts with the tree of `older` leaves (RFC 6962, 2.1.2). Throws LOG_RANGE. */
  consistencyPath(older: number, newer: number = this.size): Uint8Array[] {
    this.#check(newer, this.size);
    this.#check(older, newer);
    if (older === 0 || older === newer) return [];
    const path: Uint8Array[] = [];
    let [start, end] = [0, newer];
    // Descend to the subtree that ends where the older tree ended.
    while (end !== older) {
      const middle = start + splitPoint(end - start);
      if (older <= middle) {
        path.push(this.#range(middle, end));
        end = middle;
      } else {
        path.push(this.#range(start, middle));
        start = middle;
      }
    }
    if (start > 0) path.push(this.#range(start, end));
    return path.reverse();
  }

  /** Hash over leaves `start` to `end`, where `start` is a multiple of the largest power of two in the range. */
  #range(start: number, end: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let at = start; at < end;) {
      const k = Math.floor(Math.log2(end - at));
      parts.push(this.#level(k).at(at / 2 ** k));
      at += 2 ** k;
    }
    return parts.reduceRight((right, left) => nodeHash(left, right)).slice();
  }

  #level(k: number): HashList {
    const level = this.#levels[k] ?? new HashList();
    this.#levels[k] = level;
    return level;
  }

  #check(value: number, limit: number): void {
    if (Number.isSafeInteger(value) && value >= 0 && value <= limit) return;
    throw new ReleaseLogError("LOG_RANGE", {
      what: "the log has no such entry or size",
      why: `${value} is not between 0 and ${limit}`,
      remedy: "ask for an index or a size within the log",
    });
  }
}

/** The largest power of two smaller than `count`; `count` is at least 2. */
function splitPoint(count: number): number {
  const power = 2 ** Math.floor(Math.log2(count));
  return power === count ? power / 2 : power;
}
