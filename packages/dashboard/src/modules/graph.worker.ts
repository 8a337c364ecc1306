import { parentPort, workerData } from "node:worker_threads";
import { moduleGraph } from "./module-graph.ts";

const { entries, from, base } = workerData as { entries: readonly string[]; from: string; base: string };
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread's port, not a window
parentPort?.postMessage(moduleGraph(entries, new URL(from), base));
