import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import { inputInvalid } from "./input-error.ts";

/** Random whole values from 0 to 254, as the original client sends them; 0 and 1 for booleans. */
export function randomTensor(dtype: DType, shape: readonly number[], random: () => number = Math.random): Tensor {
  const data = layoutOf(dtype).allocate?.(elementCount(shape));
  if (data === undefined || dtype === "half" || dtype === "bfloat16")
    throw inputInvalid("there are no random values of its type");
  const limit = dtype === "bool" ? 2 : dtype === "int8" ? 127 : 255;
  for (let index = 0; index < data.length; index++) {
    const value = Math.floor(random() * limit);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[index] = BigInt(value);
    else data[index] = value;
  }
  return { dtype, shape, data };
}
