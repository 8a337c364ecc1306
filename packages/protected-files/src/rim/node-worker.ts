import { readSync, writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { ProtectedFileError } from "../errors.ts";
import { openGroup, sealGroup } from "../nodes.ts";
import { systemRandom } from "../random.ts";
import { GROUP_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import type { WorkerResult, WorkerTask } from "./worker-messages.ts";

// Body of a worker thread: one group at a time, from file to file, in two buffers that are used again.

const plaintext = new Uint8Array(GROUP_BYTES);
const sealed = new Uint8Array(SEALED_GROUP_BYTES);

function perform(task: WorkerTask): Uint8Array {
  const { group, inputFd, outputFd } = task;
  const plain = plaintext.subarray(0, group.lengthBytes);
  const nodes = sealed.subarray(0, group.sealedBytes);
  if (task.kind === "open") {
    readFully(inputFd, nodes, group.sealedOffset);
    openGroup(nodes, task.entry, plain);
    writeFully(outputFd, plain, group.offset);
    return new Uint8Array();
  }
  readFully(inputFd, plain, group.offset);
  const entry = sealGroup(plain, task.children, nodes, systemRandom);
  writeFully(outputFd, nodes, group.sealedOffset);
  return entry;
}

function readFully(fd: number, into: Uint8Array, offset: number): void {
  for (let filled = 0; filled < into.length;) {
    const count = readSync(fd, into, filled, into.length - filled, offset + filled);
    if (count === 0) throw new ProtectedFileError("INPUT_CHANGED");
    filled += count;
  }
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(fd, bytes, written, bytes.length - written, offset + written);
  }
}

function resultOf(task: WorkerTask): WorkerResult {
  try {
    return { id: task.id, entry: perform(task) };
  } catch (error) {
    if (error instanceof ProtectedFileError) return { id: task.id, code: error.code };
    return { id: task.id, message: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", (task: WorkerTask) => parentPort?.postMessage(resultOf(task), []));
