import { malformed, parseElf, programHeaders } from "./elf.ts";

const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const ENTRY_BYTES = 16;
const MAX_ENTRIES = 4096;
const MAX_STRING = 4096;
/** Dynamic tags (System V ABI, chapter 5). */
const DT = { null: 0, needed: 1, strings: 5, stringsSize: 10, rpath: 15, runpath: 29 } as const;

/** What an ELF file asks the dynamic linker for. */
export interface DynamicNeeds {
  /** Names of libraries, `libm.so.6`. */
  readonly needed: readonly string[];
  /** Folders of DT_RUNPATH, or of DT_RPATH where there is none; may begin with `$ORIGIN`. */
  readonly searchPath: readonly string[];
  /** `/lib64/ld-linux-x86-64.so.2`; null for libraries. */
  readonly interpreter: string | null;
}

/** Reads the dynamic section of an x86-64 ELF file; a static one needs nothing. Throws `ELF_MALFORMED`. */
export function parseDynamicNeeds(file: Uint8Array): DynamicNeeds {
  const { segments } = parseElf(file);
  const headers = programHeaders(file);
  const interpreter = headers.find(({ type }) => type === PT_INTERP);
  const dynamic = headers.find(({ type }) => type === PT_DYNAMIC);
  const needs = { needed: [], searchPath: [], interpreter: interpreter ? textAt(file, interpreter.fileOffset) : null };
  if (dynamic === undefined) return needs;
  const entries = readEntries(file, dynamic.fileOffset, dynamic.fileSize);
  const stringsAddress = entries.find(([tag]) => tag === DT.strings)?.[1];
  if (stringsAddress === undefined) throw malformed("its dynamic section has no strings");
  const holder = segments.find(
    ({ address, fileSize }) => stringsAddress >= address && stringsAddress < address + fileSize,
  );
  if (holder === undefined) throw malformed("its strings lie outside of the file");
  const strings = holder.fileOffset + (stringsAddress - holder.address);
  const all = (tag: number): string[] =>
    entries.filter(([of]) => of === tag).map(([, offset]) => textAt(file, strings + offset));
  const [runpath = all(DT.rpath)[0] ?? ""] = all(DT.runpath);
  return { ...needs, needed: all(DT.needed), searchPath: runpath.split(":").filter((folder) => folder !== "") };
}

function readEntries(file: Uint8Array, start: number, bytes: number): [tag: number, value: number][] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const entries: [number, number][] = [];
  for (let at = start; at + ENTRY_BYTES <= Math.min(start + bytes, file.length); at += ENTRY_BYTES) {
    const tag = Number(view.getBigInt64(at, true));
    if (tag === DT.null) return entries;
    entries.push([tag, Number(view.getBigUint64(at + 8, true))]);
    if (entries.length > MAX_ENTRIES) break;
  }
  throw malformed("its dynamic section does not end");
}

function textAt(file: Uint8Array, offset: number): string {
  const end = file.indexOf(0, offset);
  if (offset >= file.length || end < 0 || end - offset > MAX_STRING) throw malformed("a name in it does not end");
  return Buffer.from(file.subarray(offset, end)).toString("latin1");
}
