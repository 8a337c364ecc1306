import type { Tensor } from "@cloister/encoding/tensor";

/** Strings are copied one by one: each is a view, and a view crosses threads together with everything around it. */
export function copyTensor({ dtype, shape, data }: Tensor): Tensor {
  return { dtype, shape, data: "buffer" in data ? data.slice() : data.map((bytes) => bytes.slice()) };
}
