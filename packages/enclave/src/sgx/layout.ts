import { EnclaveError } from "../errors.ts";
import { type ElfImage, parseElf } from "./elf.ts";

// Gramine's enclave layout, 1.3.1 to master (gramine.md E.4): areas are placed from the top of the enclave downwards and
// measured in the order of placement.

export const PAGE_BYTES = 4096;
export const SSA_FRAME_PAGES = 4;
const SSA_FRAME_BYTES = SSA_FRAME_PAGES * PAGE_BYTES;
const SSA_FRAMES_PER_THREAD = 2;
const SSA_PAIR_BYTES = SSA_FRAME_BYTES * SSA_FRAMES_PER_THREAD;
const STACK_BYTES = 256 * 1024;
const SIGNAL_STACK_BYTES = 64 * 1024;
const HEAP_START = 0x10000;
/** Size of the general-purpose register area at the end of an SSA frame (Intel SDM, volume 3D, GPRSGX). */
const GPR_AREA_BYTES = 0xb8;
const UNSET_CANARY = 0xbadbadbadbadn;
const MAX_THREADS = 4096;

/** SECINFO flags (Intel SDM, volume 3D, section 34.11). */
const PAGE = { read: 0x1, write: 0x2, execute: 0x4, tcs: 0x100, regular: 0x200 } as const;

/** What the measurement takes from the manifest, beside its exact bytes. */
export interface EnclaveDimensions {
  /** Bytes, a power of two. */
  readonly enclaveSize: number;
  readonly maxThreads: number;
  readonly edmm: boolean;
}

/** A run of pages that is added to the enclave. Pages without `content` are zero; unmeasured ones are added only. */
export interface Area {
  readonly address: number;
  readonly bytes: number;
  readonly flags: number;
  readonly measured: boolean;
  readonly content?: Uint8Array;
}

/**
 * Every area of the enclave in the order in which it is measured. `manifest` is the exact text of `.manifest.sgx`, `loader` the
 * exact `libpal.so`. Throws `ENCLAVE_DOES_NOT_FIT`, `ELF_MALFORMED`.
 */
export function layOut(manifest: Uint8Array, loader: Uint8Array, dimensions: EnclaveDimensions): Area[] {
  const { enclaveSize, maxThreads } = dimensions;
  checkDimensions(dimensions);
  const place = placer(enclaveSize);
  const threads = Array.from({ length: maxThreads }, (_, thread) => thread);
  const manifestArea = place(manifest.length + 1);
  const ssa = place(maxThreads * SSA_PAIR_BYTES);
  const tcs = place(maxThreads * PAGE_BYTES);
  const tls = place(maxThreads * PAGE_BYTES);
  const stacks = threads.map(() => place(STACK_BYTES));
  const signalStacks = threads.map(() => place(SIGNAL_STACK_BYTES));
  const elf = parseElf(loader);
  const loaderArea = placeLoader(place, elf);
  const readWrite = PAGE.read | PAGE.write | PAGE.regular;
  const addresses: ThreadAddresses = { ssa, tcs, tls, stacks, signalStacks, loaderBase: loaderArea.address };
  const areas: Area[] = [
    { ...manifestArea, flags: PAGE.read | PAGE.regular, measured: true, content: manifest },
    { ...ssa, flags: readWrite, measured: true },
    { ...tcs, flags: PAGE.tcs, measured: true, content: tcsPages(threads, addresses, elf.entry) },
    { ...tls, flags: readWrite, measured: true, content: tlsPages(threads, addresses, enclaveSize, manifest.length) },
    ...[...stacks, ...signalStacks].map((stack) => Object.assign(stack, { flags: readWrite, measured: true })),
    ...loaderAreas(loader, elf, loaderArea.address),
  ];
  if (!dimensions.edmm) areas.push(heap(loaderArea.address));
  return areas;
}

interface Place {
  readonly address: number;
  readonly bytes: number;
}

interface ThreadAddresses {
  readonly ssa: Place;
  readonly tcs: Place;
  readonly tls: Place;
  readonly stacks: readonly Place[];
  readonly signalStacks: readonly Place[];
  readonly loaderBase: number;
}

type Placer = (bytes: number) => Place;

/** Gives out page-aligned places from the top downwards, above the heap's start. */
function placer(enclaveSize: number): Placer {
  let lowest = enclaveSize;
  return (bytes) => {
    const rounded = roundUp(bytes);
    lowest -= rounded;
    if (lowest < HEAP_START) throw doesNotFit("manifest, threads and loader need more than its size");
    return { address: lowest, bytes: rounded };
  };
}

function placeLoader(place: Placer, { segments }: ElfImage): Place {
  const first = roundDown(segments[0]?.address ?? 0);
  const last = segments.at(-1);
  const end = roundUp((last?.address ?? 0) + (last?.memorySize ?? 0));
  // A loader with a fixed address would lie there; today's is position independent and starts at 0.
  return first === 0 ? place(end) : { address: first, bytes: end - first };
}

function loaderAreas(loader: Uint8Array, { segments }: ElfImage, base: number): Area[] {
  const shift = base - roundDown(segments[0]?.address ?? 0);
  return segments.map((segment) => {
    const start = roundDown(segment.address);
    const bytes = roundUp(segment.address + segment.memorySize) - start;
    const content = new Uint8Array(bytes);
    const inFile = loader.subarray(segment.fileOffset, segment.fileOffset + segment.fileSize);
    content.set(inFile, segment.address - start);
    const flags =
      (segment.readable ? PAGE.read : 0) |
      (segment.writable ? PAGE.write : 0) |
      (segment.executable ? PAGE.execute : 0) |
      PAGE.regular;
    return { address: start + shift, bytes, flags, measured: true, content };
  });
}

/** Without dynamic memory the rest is added at the start, readable, writable and executable, but not measured. */
function heap(end: number): Area {
  const flags = PAGE.read | PAGE.write | PAGE.execute | PAGE.regular;
  return { address: HEAP_START, bytes: end - HEAP_START, flags, measured: false };
}

function tcsPages(threads: readonly number[], addresses: ThreadAddresses, entry: number): Uint8Array {
  const pages = new Uint8Array(threads.length * PAGE_BYTES);
  const view = new DataView(pages.buffer);
  for (const thread of threads) {
    const at = thread * PAGE_BYTES;
    view.setBigUint64(at + 0x10, BigInt(addresses.ssa.address + thread * SSA_PAIR_BYTES), true); // OSSA
    view.setUint32(at + 0x1c, SSA_FRAMES_PER_THREAD, true); // NSSA
    view.setBigUint64(at + 0x20, BigInt(addresses.loaderBase + entry), true); // OENTRY
    view.setBigUint64(at + 0x38, BigInt(addresses.tls.address + thread * PAGE_BYTES), true); // OGSBASE
    view.setUint32(at + 0x40, 0xfff, true); // FSLIMIT
    view.setUint32(at + 0x44, 0xfff, true); // GSLIMIT
  }
  return pages;
}

/** The loader's thread-local page (offsets: gramine.md E.4). */
function tlsPages(
  threads: readonly number[],
  addresses: ThreadAddresses,
  enclaveSize: number,
  manifestBytes: number,
): Uint8Array {
  const pages = new Uint8Array(threads.length * PAGE_BYTES);
  const view = new DataView(pages.buffer);
  for (const thread of threads) {
    const ssa = addresses.ssa.address + thread * SSA_PAIR_BYTES;
    const stack = addresses.stacks[thread];
    const signalStack = addresses.signalStacks[thread];
    const fields: readonly (readonly [number, number | bigint])[] = [
      [0x000, addresses.tls.address + thread * PAGE_BYTES],
      [0x008, UNSET_CANARY],
      [0x110, enclaveSize],
      [0x118, addresses.tcs.address + thread * PAGE_BYTES],
      [0x120, endOf(stack)],
      [0x130, signalStack?.address ?? 0],
      [0x138, endOf(signalStack)],
      [0x148, ssa],
      [0x150, ssa + SSA_FRAME_BYTES - GPR_AREA_BYTES],
      [0x1a0, manifestBytes + 1],
      [0x1a8, HEAP_START],
      [0x1b0, addresses.loaderBase],
    ];
    for (const [offset, value] of fields) view.setBigUint64(thread * PAGE_BYTES + offset, BigInt(value), true);
  }
  return pages;
}

function endOf(place: Place | undefined): number {
  return place === undefined ? 0 : place.address + place.bytes;
}

function checkDimensions({ enclaveSize, maxThreads }: EnclaveDimensions): void {
  const isPowerOfTwo = Number.isSafeInteger(enclaveSize) && enclaveSize > 0 && Number.isInteger(Math.log2(enclaveSize));
  if (!isPowerOfTwo) throw doesNotFit("an enclave's size is a power of two");
  if (!Number.isInteger(maxThreads) || maxThreads < 1 || maxThreads > MAX_THREADS) {
    throw doesNotFit(`an enclave has 1 to ${MAX_THREADS} threads`);
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

function roundDown(address: number): number {
  return Math.floor(address / PAGE_BYTES) * PAGE_BYTES;
}

function doesNotFit(why: string): EnclaveError {
  return new EnclaveError("ENCLAVE_DOES_NOT_FIT", {
    what: "the enclave cannot be laid out",
    why,
    remedy: "correct sgx.enclave_size and sgx.max_threads in the manifest",
  });
}
