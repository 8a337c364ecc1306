import { spawnSync } from "node:child_process";
import { openSync, read, writeSync } from "node:fs";
import { promisify } from "node:util";

// The kernel's side of a file system in user space, as far as pseudo files need it: linux/fuse.h, protocol 7.31. Nothing is
// cached: every look-up, open, read and write comes here, with the process that made it.

/** Error numbers of Linux that a file system here gives. */
export const ERRNO = { noEntry: 2, access: 13, notSupported: 38 } as const;

/** What a pseudo file system answers with in place of a result. */
export class FileError extends Error {
  readonly number: number;

  constructor(number: number) {
    super(`error number ${number}`);
    this.number = number;
  }
}

/** A folder or a file. Its number is its place in the list of all, from 1; the first is the root. */
export interface PseudoNode {
  readonly name: string;
  readonly parent: number;
  /** Permissions and kind, as `stat` gives them. */
  readonly mode: number;
  /** What an open handle reads; made at each opening. */
  readonly load?: (process: number) => Promise<Uint8Array>;
  /** Takes one write as a whole. Throws `FileError`. */
  readonly save?: (process: number, value: Uint8Array) => void;
}

const DIRECT_IO = 1;
const IN_HEADER_BYTES = 40;
const OUT_HEADER_BYTES = 16;
const MAX_WRITE_BYTES = 128 * 1024;
const OPCODE = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;
const WITHOUT_ANSWER: ReadonlySet<number> = new Set([
  OPCODE.forget,
  OPCODE.interrupt,
  OPCODE.batchForget,
  OPCODE.destroy,
]);

interface Request {
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: number;
  readonly process: number;
  readonly body: Buffer;
}

/** Mounts the nodes at a folder, and serves them until this process ends. Needs the right to mount. */
export async function serveFiles(folder: string, nodes: readonly PseudoNode[], onReady: () => void): Promise<never> {
  const device = openSync("/dev/fuse", "r+");
  const options = "fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
  const words = ["-i", "-t", "fuse", "-o", options, "gramine-device", folder];
  const mounted = spawnSync("mount", words, { stdio: ["ignore", "ignore", "inherit", device] });
  if (mounted.status !== 0) throw new Error("the files were not mounted");
  onReady();
  const files = new Files(nodes);
  const buffer = Buffer.alloc(MAX_WRITE_BYTES + 4096);
  for (;;) {
    const { bytesRead } = await promisify(read)(device, buffer, 0, buffer.length, null);
    const request = parseRequest(Buffer.from(buffer.subarray(0, bytesRead)));
    if (WITHOUT_ANSWER.has(request.opcode)) continue;
    // A quote may take a while; other requests go on.
    void files.answer(request).then(
      (body) => reply(device, request.unique, 0, body),
      (error: unknown) => {
        reply(device, request.unique, error instanceof FileError ? error.number : ERRNO.access, Buffer.alloc(0));
      },
    );
  }
}

class Files {
  readonly #nodes: readonly PseudoNode[];
  readonly #handles = new Map<bigint, Uint8Array>();
  #lastHandle = 0n;

  constructor(nodes: readonly PseudoNode[]) {
    this.#nodes = nodes;
  }

  async answer({ opcode, node: number, process, body }: Request): Promise<Buffer> {
    const node = this.#nodes[number - 1];
    switch (opcode) {
      case OPCODE.init:
        return initAnswer();
      case OPCODE.lookup:
        return this.#lookup(number, body.subarray(0, -1).toString());
      case OPCODE.getattr:
      case OPCODE.setattr:
        return Buffer.concat([Buffer.alloc(16), attributes(number, node)]);
      case OPCODE.open:
      case OPCODE.opendir:
        return this.#open((await node?.load?.(process)) ?? new Uint8Array());
      case OPCODE.read:
        return this.#read(body);
      case OPCODE.write:
        return this.#write(node, process, body);
      case OPCODE.readdir:
        return this.#list(number, body);
      case OPCODE.statfs:
        return Buffer.alloc(80);
      case OPCODE.release:
      case OPCODE.releasedir:
        this.#handles.delete(body.readBigUInt64LE(0));
        return Buffer.alloc(0);
      case OPCODE.flush:
        return Buffer.alloc(0);
      default:
        throw new FileError(ERRNO.notSupported);
    }
  }

  #lookup(parent: number, name: string): Buffer {
    const index = this.#nodes.findIndex((node) => node.parent === parent && node.name === name);
    if (index < 0) throw new FileError(ERRNO.noEntry);
    const entry = Buffer.alloc(40);
    entry.writeBigUInt64LE(BigInt(index + 1), 0);
    return Buffer.concat([entry, attributes(index + 1, this.#nodes[index])]);
  }

  #open(content: Uint8Array): Buffer {
    const handle = ++this.#lastHandle;
    this.#handles.set(handle, content);
    const answer = Buffer.alloc(16);
    answer.writeBigUInt64LE(handle, 0);
    answer.writeUInt32LE(DIRECT_IO, 8);
    return answer;
  }

  #read(body: Buffer): Buffer {
    const content = this.#handles.get(body.readBigUInt64LE(0)) ?? new Uint8Array();
    const offset = Number(body.readBigUInt64LE(8));
    return Buffer.from(content.subarray(offset, offset + body.readUInt32LE(16)));
  }

  #write(node: PseudoNode | undefined, process: number, body: Buffer): Buffer {
    const value = new Uint8Array(body.subarray(40, 40 + body.readUInt32LE(16)));
    if (node?.save === undefined) throw new FileError(ERRNO.access);
    node.save(process, value);
    this.#handles.set(body.readBigUInt64LE(0), value);
    const answer = Buffer.alloc(8);
    answer.writeUInt32LE(value.length, 0);
    return answer;
  }

  #list(parent: number, body: Buffer): Buffer {
    const offset = Number(body.readBigUInt64LE(8));
    const children = [...this.#nodes.entries()].filter(([, node]) => node.parent === parent).slice(offset);
    return Buffer.concat(
      children.map(([index, { name, mode }], place) => {
        const entry = Buffer.alloc(24 + Math.ceil(name.length / 8) * 8);
        entry.writeBigUInt64LE(BigInt(index + 1), 0);
        entry.writeBigUInt64LE(BigInt(offset + place + 1), 8);
        entry.writeUInt32LE(name.length, 16);
        entry.writeUInt32LE(mode >> 12, 20);
        entry.write(name, 24);
        return entry;
      }),
    );
  }
}

function parseRequest(message: Buffer): Request {
  return {
    opcode: message.readUInt32LE(4),
    unique: message.readBigUInt64LE(8),
    node: Number(message.readBigUInt64LE(16)),
    process: message.readUInt32LE(32),
    body: message.subarray(IN_HEADER_BYTES),
  };
}

function initAnswer(): Buffer {
  const answer = Buffer.alloc(64);
  answer.writeUInt32LE(7, 0);
  answer.writeUInt32LE(31, 4);
  answer.writeUInt32LE(MAX_WRITE_BYTES, 20);
  answer.writeUInt32LE(1, 24);
  return answer;
}

/** As Gramine has them, files are empty until they are read. */
function attributes(number: number, node: PseudoNode | undefined): Buffer {
  if (node === undefined) throw new FileError(ERRNO.noEntry);
  const answer = Buffer.alloc(88);
  answer.writeBigUInt64LE(BigInt(number), 0);
  answer.writeUInt32LE(node.mode, 60);
  answer.writeUInt32LE(1, 64);
  return answer;
}

function reply(device: number, unique: bigint, error: number, body: Buffer): void {
  const header = Buffer.alloc(OUT_HEADER_BYTES);
  header.writeUInt32LE(OUT_HEADER_BYTES + body.length, 0);
  header.writeInt32LE(-error, 4);
  header.writeBigUInt64LE(unique, 8);
  writeSync(device, Buffer.concat([header, body]));
}
