import { malformedWire, tagOf, WIRE, WireReader } from "../protobuf/protobuf-wire.ts";
import type { NumericArray } from "./tensor.ts";
import { type DTypeLayout, FIELD_ENCODING } from "./proto-dtypes.ts";

/** Takes the values of the wanted field one after the other; more than `count` are counted but not kept. */
interface Sink {
  /** One value at the reader's position. */
  readOne(reader: WireReader): void;
  /** A packed run. */
  readPacked(packed: Uint8Array): void;
}

/**
 * The values of a TensorProto's repeated field: none gives zeros (or empty strings), too few are continued with the last,
 * surplus is ignored. Other fields' packed values are checked and dropped.
 */
export function readValues(bytes: Uint8Array, layout: DTypeLayout, count: number): NumericArray | Uint8Array[] {
  if (layout.allocate === undefined) return readStrings(bytes, layout, count);
  const whole = wholeRun(bytes, layout, count);
  if (whole !== undefined) return whole;
  const data = layout.allocate(count);
  const sink = layout.encoding === "fixed" ? new FixedSink(data, layout) : new VarintSink(data, layout);
  forEachValue(bytes, layout.field, sink);
  sink.fillRest();
  return data;
}

/** The common case without a copy: one packed run of fixed-size values, exactly as many as the shape has. */
function wholeRun(bytes: Uint8Array, layout: DTypeLayout, count: number): NumericArray | undefined {
  if (layout.encoding !== "fixed" || layout.view === undefined || count === 0) return undefined;
  const runs: Uint8Array[] = [];
  const collector: Sink = {
    readOne: (reader) => runs.push(reader.take(layout.size)),
    readPacked: (packed) => runs.push(packed),
  };
  forEachValue(bytes, layout.field, collector, 2);
  const run = runs[0];
  if (runs.length !== 1 || run?.length !== count * layout.size) return undefined;
  const memory = run.byteOffset % layout.size === 0 ? run : new Uint8Array(run);
  return layout.view(memory.buffer, memory.byteOffset, count);
}

/** Calls the sink for the wanted field; stops after `maxCalls`. */
function forEachValue(bytes: Uint8Array, field: number, sink: Sink, maxCalls = Infinity): void {
  const reader = new WireReader(bytes);
  let calls = 0;
  while (!reader.atEnd && calls < maxCalls) {
    const tag = reader.readTag();
    const number = tag >>> 3;
    const encoding = FIELD_ENCODING.get(number);
    if (encoding === undefined || encoding.encoding === "bytes") reader.skip(tag);
    else if ((tag & 7) === WIRE.bytes) {
      const packed = reader.readBytes();
      checkRun(packed, encoding);
      if (number === field) {
        sink.readPacked(packed);
        calls++;
      }
    } else if (number === field && (tag & 7) === singleWireType(encoding)) {
      sink.readOne(reader);
      calls++;
    } else reader.skip(tag);
  }
}

function singleWireType(encoding: { readonly encoding: string; readonly size: number }): number {
  if (encoding.encoding === "varint") return WIRE.varint;
  return encoding.size === 4 ? WIRE.fixed32 : WIRE.fixed64;
}

function checkRun(packed: Uint8Array, encoding: { readonly encoding: string; readonly size: number }): void {
  const isWhole = encoding.encoding === "fixed" ? packed.length % encoding.size === 0 : (packed.at(-1) ?? 0) < 0x80;
  if (!isWhole) throw malformedWire("a packed field ends within a value");
}

/** Floats and doubles: little-endian bytes, copied as they are. */
class FixedSink implements Sink {
  readonly #data: NumericArray;
  readonly #target: Uint8Array;
  readonly #size: number;
  #filled = 0;

  constructor(data: NumericArray, layout: DTypeLayout) {
    this.#data = data;
    this.#target = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#size = layout.size;
  }

  readOne(reader: WireReader): void {
    this.readPacked(reader.take(this.#size));
  }

  readPacked(packed: Uint8Array): void {
    const room = packed.subarray(0, this.#target.length - this.#filled);
    this.#target.set(room, this.#filled);
    this.#filled += room.length;
  }

  fillRest(): void {
    fillWithLast(this.#data, this.#filled / this.#size);
  }
}

/** Integers and bools: varints of up to 64 bits, cut to the element's size. */
class VarintSink implements Sink {
  readonly #data: NumericArray;
  /** 64-bit elements as pairs of 32-bit words: quicker than a bigint for each. */
  readonly #words: Uint32Array | undefined;
  readonly #isBool: boolean;
  #filled = 0;

  constructor(data: NumericArray, layout: DTypeLayout) {
    this.#data = data;
    this.#words = layout.size === 8 ? new Uint32Array(data.buffer, data.byteOffset, data.length * 2) : undefined;
    this.#isBool = layout.dtype === "bool";
  }

  readOne(reader: WireReader): void {
    reader.readVarint();
    if (this.#filled >= this.#data.length) return;
    if (this.#words !== undefined) {
      this.#words[2 * this.#filled] = reader.low;
      this.#words[2 * this.#filled + 1] = reader.high;
    } else if (this.#isBool) this.#data[this.#filled] = reader.low === 0 && reader.high === 0 ? 0 : 1;
    else this.#data[this.#filled] = reader.low;
    this.#filled++;
  }

  readPacked(packed: Uint8Array): void {
    const reader = new WireReader(packed);
    while (!reader.atEnd) this.readOne(reader);
  }

  fillRest(): void {
    fillWithLast(this.#data, this.#filled);
  }
}

/** Continues the first `filled` values with the last of them. */
function fillWithLast(data: NumericArray, filled: number): void {
  const last = data[filled - 1];
  if (last === undefined || filled === data.length) return;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(last), filled);
  else data.fill(Number(last), filled);
}

function readStrings(bytes: Uint8Array, layout: DTypeLayout, count: number): Uint8Array[] {
  const strings: Uint8Array[] = [];
  const reader = new WireReader(bytes);
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag !== tagOf(layout.field, WIRE.bytes)) reader.skip(tag);
    else {
      const value = reader.readBytes();
      if (strings.length < count) strings.push(value);
    }
  }
  const last = strings.at(-1) ?? new Uint8Array(0);
  while (strings.length < count) strings.push(last);
  return strings;
}
