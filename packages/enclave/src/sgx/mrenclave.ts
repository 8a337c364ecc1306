import { createHash, type Hash } from "node:crypto";
import { type Area, type EnclaveDimensions, layOut, PAGE_BYTES, SSA_FRAME_PAGES } from "./layout.ts";

// What the processor hashes while an enclave is built (Intel SDM, volume 3D, section 35.1): one 64-byte record for each ECREATE,
// EADD and EEXTEND, the last followed by the 256 bytes that it covers.

const RECORD_BYTES = 64;
const CHUNK_BYTES = 256;
const CHUNKS_PER_PAGE = PAGE_BYTES / CHUNK_BYTES;
const MEASURED_PAGE_BYTES = RECORD_BYTES + CHUNKS_PER_PAGE * (RECORD_BYTES + CHUNK_BYTES);
/** Records of pages that are added without content are hashed in batches. */
const BATCH_PAGES = 4096;

/**
 * The MRENCLAVE (32 bytes) of a Gramine enclave: a function of the exact bytes of `.manifest.sgx`, of the exact `libpal.so` and of
 * three of the manifest's values. Throws `ENCLAVE_DOES_NOT_FIT`, `ELF_MALFORMED`.
 */
export function computeMrenclave(manifest: Uint8Array, loader: Uint8Array, dimensions: EnclaveDimensions): Uint8Array {
  const hash = createHash("sha256");
  hash.update(createRecord(dimensions.enclaveSize));
  for (const area of layOut(manifest, loader, dimensions)) {
    if (area.measured) measureArea(hash, area);
    else addArea(hash, area);
  }
  return new Uint8Array(hash.digest());
}

function createRecord(enclaveSize: number): Uint8Array {
  const { bytes, view } = record("ECREATE");
  view.setUint32(8, SSA_FRAME_PAGES, true);
  view.setBigUint64(12, BigInt(enclaveSize), true);
  return bytes;
}

/** EADD, then sixteen times EEXTEND with content, for each page. One buffer is filled again and again. */
function measureArea(hash: Hash, { address, bytes, flags, content = new Uint8Array() }: Area): void {
  const page = new Uint8Array(MEASURED_PAGE_BYTES);
  const view = new DataView(page.buffer);
  page.set(record("EADD").bytes);
  view.setBigUint64(16, BigInt(flags), true);
  for (let chunk = 0; chunk < CHUNKS_PER_PAGE; chunk++) page.set(record("EEXTEND").bytes, extendAt(chunk));
  for (let offset = 0; offset < bytes; offset += PAGE_BYTES) {
    view.setBigUint64(8, BigInt(address + offset), true);
    for (let chunk = 0; chunk < CHUNKS_PER_PAGE; chunk++) {
      const at = extendAt(chunk);
      const from = offset + chunk * CHUNK_BYTES;
      view.setBigUint64(at + 8, BigInt(address + from), true);
      page.fill(0, at + RECORD_BYTES, at + RECORD_BYTES + CHUNK_BYTES);
      page.set(content.subarray(from, from + CHUNK_BYTES), at + RECORD_BYTES);
    }
    hash.update(page);
  }
}

function extendAt(chunk: number): number {
  return RECORD_BYTES + chunk * (RECORD_BYTES + CHUNK_BYTES);
}

function addArea(hash: Hash, { address, bytes, flags }: Area): void {
  const pages = bytes / PAGE_BYTES;
  const batch = new Uint8Array(Math.min(pages, BATCH_PAGES) * RECORD_BYTES);
  const view = new DataView(batch.buffer);
  const template = record("EADD");
  template.view.setBigUint64(16, BigInt(flags), true);
  for (let at = 0; at < batch.length; at += RECORD_BYTES) batch.set(template.bytes, at);
  for (let first = 0; first < pages; first += BATCH_PAGES) {
    const count = Math.min(BATCH_PAGES, pages - first);
    for (let index = 0; index < count; index++) {
      view.setBigUint64(index * RECORD_BYTES + 8, BigInt(address + (first + index) * PAGE_BYTES), true);
    }
    hash.update(batch.subarray(0, count * RECORD_BYTES));
  }
}

function record(name: "ECREATE" | "EADD" | "EEXTEND"): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(RECORD_BYTES);
  bytes.set(new TextEncoder().encode(name));
  return { bytes, view: new DataView(bytes.buffer) };
}
