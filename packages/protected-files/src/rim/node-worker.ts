import { readSync, writevSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { ProtectedFileError } from "../errors.ts";
import { gather, openGroup, resealGroup, type SealedGroup, sealGroup } from "../nodes.ts";
import { systemRandom } from "../random.ts";
import { GROUP_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import { partsAfter } from "./file-io.ts";
import type { OpenTask, ReadTask, ResealTask, SealTask, WorkerResult, WorkerTask } from "./worker-messages.ts";

// Body of a worker thread: one group at a time, read and written by this thread, in buffers that are used again.

const plaintextBuffer = new Uint8Array(GROUP_BYTES);
const sealedBuffer = new Uint8Array(SEALED_GROUP_BYTES);

function perform(task: WorkerTask): Uint8Array<ArrayBuffer> {
  if (task.kind === "seal") return writeSealed(task, sealGroup(readPlaintext(task), task.children, systemRandom));
  const { kind, entry, group } = task;
  if (kind === "reseal") {
    return writeSealed(task, resealGroup(readSealed(task), entry, group.lengthBytes, task.children, systemRandom));
  }
  if (kind === "read") return whole(openTask(task), group.lengthBytes);
  writeParts(task.outputFd, openTask(task), group.offset);
  return new Uint8Array();
}

function openTask(task: ReadTask | OpenTask): readonly Uint8Array[] {
  return openGroup(readSealed(task), task.entry, task.group.lengthBytes).plaintext;
}

function whole(parts: readonly Uint8Array[], lengthBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthBytes);
  gather(parts, bytes);
  return bytes;
}

function writeSealed(
  { outputFd, group }: SealTask | ResealTask,
  { entry, nodes }: SealedGroup,
): Uint8Array<ArrayBuffer> {
  writeParts(outputFd, nodes, group.sealedOffset);
  return entry;
}

function readPlaintext({ inputFd, group }: Pick<WorkerTask, "inputFd" | "group">): Uint8Array {
  return readFully(inputFd, plaintextBuffer.subarray(0, group.lengthBytes), group.offset);
}

function readSealed({ inputFd, group }: Pick<WorkerTask, "inputFd" | "group">): Uint8Array {
  return readFully(inputFd, sealedBuffer.subarray(0, group.sealedBytes), group.sealedOffset);
}

function readFully(fd: number, into: Uint8Array, offset: number): Uint8Array {
  for (let filled = 0; filled < into.length;) {
    const count = readSync(fd, into, filled, into.length - filled, offset + filled);
    if (count === 0) throw new ProtectedFileError("INPUT_CHANGED");
    filled += count;
  }
  return into;
}

function writeParts(fd: number, parts: readonly Uint8Array[], offset: number): void {
  let at = offset;
  for (let rest = parts; rest.length > 0;) {
    const written = writevSync(fd, rest, at);
    at += written;
    rest = partsAfter(rest, written);
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
