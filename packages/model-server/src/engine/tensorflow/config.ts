/** Field numbers of ConfigProto. (tensorflow/core/protobuf/config.proto) */
const INTRA_OP_THREADS = 2;
const INTER_OP_THREADS = 5;
const ALLOW_SOFT_PLACEMENT = 7;

/**
 * A serialized ConfigProto. TensorFlow has one pool of threads inside operators for the whole process: the first model sets it.
 *
 * @param threads threads inside one operator, 0: one per core
 * @param lanes requests that run at a time; each has its operators run one after the other, as in the other engine
 */
export function sessionConfig(threads: number, lanes: number): Uint8Array {
  const pools = [...int32(INTRA_OP_THREADS, threads), ...int32(INTER_OP_THREADS, lanes)];
  // Nodes that were placed on a GPU run on the CPU.
  return Uint8Array.from([...pools, ...int32(ALLOW_SOFT_PLACEMENT, 1)]);
}

function int32(field: number, value: number): number[] {
  const bytes = [field << 3];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
