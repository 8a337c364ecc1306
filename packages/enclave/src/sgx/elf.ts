import { EnclaveError } from "../errors.ts";

/** A PT_LOAD program header of an ELF64 file (System V ABI, chapter 5). Addresses and sizes in bytes. */
interface LoadSegment {
  readonly fileOffset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** What the measurement needs of an ELF64 file. */
export interface ElfImage {
  readonly entry: number;
  /** In the order of the file, which the ABI demands to be ascending by address. */
  readonly segments: readonly LoadSegment[];
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const MACHINE_X86_64 = 62;
const MAX_PROGRAM_HEADERS = 128;
const [PF_X, PF_W, PF_R] = [1, 2, 4];

/** Where a program header points to. */
interface ProgramHeader {
  readonly type: number;
  /** Offset of the header itself. */
  readonly at: number;
  readonly fileOffset: number;
  readonly fileSize: number;
}

/** Reads the load segments of an x86-64 ELF file. Throws `ELF_MALFORMED`. */
export function parseElf(file: Uint8Array): ElfImage {
  const headers = programHeaders(file);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const segments = headers.filter(({ type }) => type === PT_LOAD).map(({ at }) => readSegment(view, at, file.length));
  checkOrder(segments);
  return { entry: size(view, 24), segments };
}

/** The program headers of an x86-64 ELF file, in the order of the file. Throws `ELF_MALFORMED`. */
export function programHeaders(file: Uint8Array): ProgramHeader[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const isElf64 = file.length >= HEADER_BYTES && view.getUint32(0) === 0x7f454c46 && file[4] === 2 && file[5] === 1;
  if (!isElf64 || view.getUint16(18, true) !== MACHINE_X86_64) throw malformed("it is no little-endian x86-64 ELF64");
  const tableOffset = size(view, 32);
  const count = view.getUint16(56, true);
  const isTableInside = tableOffset + count * PROGRAM_HEADER_BYTES <= file.length;
  if (view.getUint16(54, true) !== PROGRAM_HEADER_BYTES || count > MAX_PROGRAM_HEADERS || !isTableInside) {
    throw malformed("its program headers do not fit");
  }
  return Array.from({ length: count }, (_, index) => {
    const at = tableOffset + index * PROGRAM_HEADER_BYTES;
    return { type: view.getUint32(at, true), at, fileOffset: size(view, at + 8), fileSize: size(view, at + 32) };
  });
}

function readSegment(view: DataView, at: number, fileLength: number): LoadSegment {
  const flags = view.getUint32(at + 4, true);
  const segment = {
    fileOffset: size(view, at + 8),
    address: size(view, at + 16),
    fileSize: size(view, at + 32),
    memorySize: size(view, at + 40),
    readable: (flags & PF_R) !== 0,
    writable: (flags & PF_W) !== 0,
    executable: (flags & PF_X) !== 0,
  };
  if (segment.fileSize > segment.memorySize || segment.fileOffset + segment.fileSize > fileLength) {
    throw malformed("a segment lies outside of the file");
  }
  return segment;
}

function checkOrder(segments: readonly LoadSegment[]): void {
  if (segments.length === 0) throw malformed("it has no segment to load");
  const isAscending = segments.every(
    ({ address }, index) => index === 0 || address >= endOf(segments[index - 1] ?? { address: 0, memorySize: 0 }),
  );
  if (!isAscending) throw malformed("its segments overlap or are out of order");
}

function endOf({ address, memorySize }: Pick<LoadSegment, "address" | "memorySize">): number {
  return address + memorySize;
}

function size(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a size or address is out of range");
  return Number(value);
}

/** The refusal of a binary. */
export function malformed(why: string): EnclaveError {
  return new EnclaveError("ELF_MALFORMED", {
    what: "a binary of the enclave cannot be read",
    why,
    remedy: "give an x86-64 binary: the libpal.so of the Gramine that will run, or a program and its libraries",
  });
}
