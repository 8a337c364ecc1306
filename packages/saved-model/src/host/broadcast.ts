import { elementCount } from "@cloister/encoding/tensor";
import { refuse } from "./refusal.ts";

/** The shape that both broadcast to; refuses where they do not go together. */
export function broadcastTogether(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (left === right || right === 1) return left;
    return left === 1 ? right : refuse("its operands do not broadcast");
  });
}

/** For an index into a broadcast result, the index of the element of the operand that it comes from. */
export function sourceIn(from: readonly number[], to: readonly number[]): (index: number) => number {
  if (elementCount(from) === elementCount(to)) return (index) => index;
  const strides = to.map((_, axis) => {
    const own = axis - to.length + from.length;
    return own < 0 || from[own] === 1 ? 0 : elementCount(from.slice(own + 1));
  });
  return (index) => {
    let [rest, offset] = [index, 0];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const size = to[axis] as number;
      offset += (rest % size) * (strides[axis] as number);
      rest = Math.floor(rest / size);
    }
    return offset;
  };
}
