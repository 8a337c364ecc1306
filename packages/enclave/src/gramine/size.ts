const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** What a runtime takes without a model, and how often the model lies in memory at its peak: read, parsed, compiled, running. */
const RUNTIMES = {
  cloister: { baseBytes: 2 * GIB, copies: 5, baseThreads: 24, perEngineThread: 3 },
  "tensorflow-serving": { baseBytes: 2 * GIB, copies: 6, baseThreads: 64, perEngineThread: 4 },
} as const;

export type Runtime = keyof typeof RUNTIMES;
export const RUNTIME_NAMES = Object.keys(RUNTIMES) as readonly Runtime[];

export interface EnclaveShape {
  /** As the manifest has it, a power of two: "4G". */
  readonly enclaveSize: string;
  readonly maxThreads: number;
}

/** Size and threads of an enclave for a model of that many bytes. The size is reserved, and without EDMM also taken at the start. */
export function enclaveShape(runtime: Runtime, modelBytes: number, engineThreads: number): EnclaveShape {
  const { baseBytes, copies, baseThreads, perEngineThread } = RUNTIMES[runtime];
  const bytes = 2 ** Math.ceil(Math.log2(baseBytes + copies * modelBytes));
  return {
    enclaveSize: bytes >= GIB ? `${bytes / GIB}G` : `${bytes / MIB}M`,
    maxThreads: baseThreads + perEngineThread * engineThreads,
  };
}
