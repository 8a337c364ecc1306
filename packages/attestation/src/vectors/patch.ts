import { asBuffer, concatBytes, fromHex } from "@cloister/encoding";
import type { Fields } from "../documents/fields.ts";

/** A patch that this version cannot apply: an unknown operation, or an offset outside the file. */
export class PatchError extends Error {}

/** Another file's bytes, for the operation `use`. */
export type ReadRole = (bundle: string, role: string) => Uint8Array;

/** Applies one patch operation to a file of a vector bundle (README of the vectors, "A case"). Throws `PatchError`. */
export function applyPatch(bytes: Uint8Array, patch: Fields, readRole: ReadRole): Uint8Array {
  const op = patch.string("op");
  switch (op) {
    case "xor":
      return overwrite(bytes, patch.number("offset"), hex(patch), (old, byte) => old ^ byte);
    case "setBytes":
      return overwrite(bytes, patch.number("offset"), hex(patch), (_old, byte) => byte);
    case "addU32LE":
      return addU32(bytes, patch.number("offset"), patch.number("value"));
    case "truncate": {
      const length = patch.number("length");
      return bytes.slice(0, length < 0 ? Math.max(0, bytes.length + length) : length);
    }
    case "append":
      return concatBytes(bytes, hex(patch));
    case "appendRepeat":
      return concatBytes(bytes, new Uint8Array(patch.unsigned("count", 1 << 26)).fill(patch.unsigned("byte", 0xff)));
    case "replaceText":
      return replaceText(bytes, patch.string("find"), patch.string("with"));
    case "use":
      return readRole(patch.string("bundle"), patch.string("role"));
    default:
      throw new PatchError("unknown patch operation");
  }
}

function hex(patch: Fields): Uint8Array {
  const bytes = fromHex(patch.string("hex"));
  if (bytes === undefined) throw new PatchError("a patch has no valid hex");
  return bytes;
}

function overwrite(
  bytes: Uint8Array,
  offset: number,
  change: Uint8Array,
  combine: (old: number, byte: number) => number,
): Uint8Array {
  const start = startOf(bytes, offset, change.length);
  const changed = bytes.slice();
  for (const [index, byte] of change.entries()) changed[start + index] = combine(bytes[start + index] ?? 0, byte);
  return changed;
}

function addU32(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const start = startOf(bytes, offset, 4);
  const changed = bytes.slice();
  const view = new DataView(changed.buffer, changed.byteOffset);
  view.setUint32(start, (view.getUint32(start, true) + value) >>> 0, true);
  return changed;
}

/** A negative offset counts from the end. */
function startOf(bytes: Uint8Array, offset: number, length: number): number {
  const start = offset < 0 ? bytes.length + offset : offset;
  if (start < 0 || start + length > bytes.length) throw new PatchError("a patch reaches outside the file");
  return start;
}

/** The first occurrence only. A text that is not there leaves the file as it is. */
function replaceText(bytes: Uint8Array, find: string, replacement: string): Uint8Array {
  const at = asBuffer(bytes).indexOf(find, 0, "utf8");
  if (at < 0) return bytes;
  const after = bytes.subarray(at + Buffer.byteLength(find, "utf8"));
  return concatBytes(bytes.subarray(0, at), Buffer.from(replacement, "utf8"), after);
}
