/** Protobuf's wire format for the hand-written readers and writers of hot messages. Cold messages use generated code. */
import { EncodingError } from "../encoding-error.ts";

export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** The tag of a field: number and wire type. */
export function tagOf(field: number, wireType: number): number {
  return field * 8 + wireType;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A cursor over one message. Nothing is copied: byte fields are views of the input. Throws TENSOR_PROTO_MALFORMED. */
export class WireReader {
  readonly bytes: Uint8Array;
  position = 0;
  /** Low and high half of the last varint. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get atEnd(): boolean {
    return this.position >= this.bytes.length;
  }

  /** Reads a varint into `low` and `high`, both unsigned. Bits above 64 are dropped, as every protobuf reader does. */
  readVarint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.position];
      if (byte === undefined) throw malformedWire("a number is cut short");
      this.position++;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw malformedWire("a number is longer than ten bytes");
  }

  /** The next field's tag. */
  readTag(): number {
    this.readVarint();
    if (this.high !== 0 || this.low < 8) throw malformedWire("a field number is out of range");
    return this.low;
  }

  /** A length-delimited field's content. */
  readBytes(): Uint8Array {
    this.readVarint();
    return this.take(this.high === 0 ? this.low : Infinity);
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.position) throw malformedWire("a field is longer than its message");
    const view = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return view;
  }

  readString(): string {
    const view = this.readBytes();
    try {
      return decoder.decode(view);
    } catch {
      throw malformedWire("a string is not UTF-8");
    }
  }

  /** Steps over the value of a field that is not wanted. Groups are refused: none of our messages has any. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WIRE.varint:
        this.readVarint();
        break;
      case WIRE.fixed64:
        this.take(8);
        break;
      case WIRE.bytes:
        this.readBytes();
        break;
      case WIRE.fixed32:
        this.take(4);
        break;
      default:
        throw malformedWire("a field has an unknown wire type");
    }
  }
}

/** How many bytes an unsigned number below 2^53 takes as a varint. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** Fills an array of a size that was computed before. */
export class WireWriter {
  readonly bytes: Uint8Array;
  position: number;

  constructor(length: number, headroom = 0) {
    this.bytes = new Uint8Array(headroom + length);
    this.position = headroom;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.position++] = rest;
  }

  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.bytes[this.position++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.position++] = Number(rest);
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.position);
    this.position += bytes.length;
  }

  /** A length-delimited field. */
  field(number: number, bytes: Uint8Array): void {
    this.varint(tagOf(number, WIRE.bytes));
    this.varint(bytes.length);
    this.raw(bytes);
  }
}

/** Size of a length-delimited field with a content of `length` bytes. */
export function fieldLength(number: number, length: number): number {
  return varintLength(tagOf(number, WIRE.bytes)) + varintLength(length) + length;
}

export function malformedWire(why: string): EncodingError {
  return new EncodingError("TENSOR_PROTO_MALFORMED", {
    what: "the message is not valid protobuf",
    why,
    remedy: "send what the .proto files of TensorFlow Serving describe",
  });
}
