import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Chain, type ChainEvent, type ChainOptions, startChain } from "@cloister/deploy";

export const ROOT = resolve(import.meta.dirname, "../..");

/** A running chain in folders of its own, with everything it reported. */
export interface TestChain {
  readonly chain: Chain;
  readonly events: readonly ChainEvent[];
  /** Ends the chain and removes its folders. */
  readonly close: () => Promise<void>;
}

/** Brings up the default model on free ports. */
export async function startTestChain(changes: Partial<ChainOptions> = {}): Promise<TestChain> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-e2e-"));
  const events: ChainEvent[] = [];
  const options: ChainOptions = {
    installation: { root: ROOT, nodeExecutable: process.execPath },
    model: { path: join(ROOT, "examples/digits/saved_model"), name: "digits", version: 1 },
    modelsDir: join(folder, "models"),
    workDir: join(folder, "work"),
    replicas: 2,
    tls: "mutual",
    port: 0,
    brokerPort: 0,
    gateway: "built-in",
    engineThreads: 1,
    ...changes,
  };
  const chain = await startChain(options, (event) => events.push(event));
  const close = async (): Promise<void> => {
    await chain.close();
    await rm(folder, { recursive: true });
  };
  return { chain, events, close };
}
