import { readSync, writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { ProtectedFileError } from "../errors.ts";
import { openGroup, resealGroup, sealGroup } from "../nodes.ts";
import { systemRandom } from "../random.ts";
import { NODE_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import { nodeCipher } from "./choose-cipher.ts";
import { plaintextOf } from "./groups.ts";
import type { WorkerResult, WorkerTask } from "./worker-messages.ts";

// Body of a worker thread: one group at a time, read and written by this thread, in a buffer that is used again.

const buffer = new Uint8Array(SEALED_GROUP_BYTES);
const cipher = await nodeCipher();

function perform(task: WorkerTask): Uint8Array<ArrayBuffer> {
  const { kind, group, inputFd } = task;
  const nodes = buffer.subarray(0, group.sealedBytes);
  if (kind === "seal") {
    readFully(inputFd, plaintextOf(nodes, group), group.offset);
    const entry = sealGroup(cipher, nodes, group.lengthBytes, task.children, systemRandom);
    writeFully(task.outputFd, nodes, group.sealedOffset);
    return entry;
  }
  readFully(inputFd, nodes, group.sealedOffset);
  if (kind === "reseal") {
    const entry = resealGroup(cipher, nodes, task.entry, group.lengthBytes, task.children, systemRandom);
    writeFully(task.outputFd, nodes, group.sealedOffset);
    return entry;
  }
  if (kind === "read") {
    const plaintext = new Uint8Array(group.lengthBytes);
    openGroup(cipher, nodes, task.entry, plaintext);
    return plaintext;
  }
  openGroup(cipher, nodes, task.entry, nodes.subarray(NODE_BYTES));
  writeFully(task.outputFd, plaintextOf(nodes, group), group.offset);
  return new Uint8Array();
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
    return { id: task.id, bytes: perform(task) };
  } catch (error) {
    if (error instanceof ProtectedFileError) return { id: task.id, code: error.code };
    return { id: task.id, message: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", (tasks: readonly WorkerTask[]) => {
  const results = tasks.map(resultOf);
  parentPort?.postMessage(
    results,
    results.flatMap((result) => ("bytes" in result ? [result.bytes.buffer] : [])),
  );
});
