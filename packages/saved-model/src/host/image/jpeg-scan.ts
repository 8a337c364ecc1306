// The entropy-coded part of a JPEG (ITU-T T.81, annexes F and G): Huffman codes, sequential and progressive.

import { refuse } from "../refusal.ts";

/** One colour component of a frame. */
export interface Component {
  readonly id: number;
  readonly h: number;
  readonly v: number;
  readonly quantization: number;
  /** Blocks of a row and of a column, filled up to whole units of the interleaved scan. */
  readonly blocksPerLine: number;
  readonly blocksPerColumn: number;
  /** Blocks that hold picture. */
  readonly ownPerLine: number;
  readonly ownPerColumn: number;
  /** 64 coefficients for each block, in natural order. */
  readonly coefficients: Int16Array;
}

/** Code lengths turned into a table: for each length the first code, and where its symbols begin. */
export interface Huffman {
  readonly maxCode: Int32Array;
  readonly offset: Int32Array;
  readonly symbols: Uint8Array;
}

export interface Scan {
  readonly components: readonly {
    readonly component: Component;
    readonly dc: Huffman | undefined;
    readonly ac: Huffman | undefined;
  }[];
  readonly spectralStart: number;
  readonly spectralEnd: number;
  readonly high: number;
  readonly low: number;
  readonly restartInterval: number;
  readonly unitsPerLine: number;
  readonly unitsPerColumn: number;
  readonly isProgressive: boolean;
}

const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
] as const;

export function naturalOrder(index: number): number {
  return ZIGZAG[index] ?? refuse("a JPEG is damaged");
}

export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): Huffman {
  const maxCode = new Int32Array(17).fill(-1);
  const offset = new Int32Array(17);
  let [code, index] = [0, 0];
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1] as number;
    offset[length] = index - code;
    if (count > 0) {
      code += count;
      index += count;
      maxCode[length] = code - 1;
    }
    code <<= 1;
  }
  return { maxCode, offset, symbols };
}

/** Reads the scan that begins at `offset`; returns where the next marker is. */
export function readScan(bytes: Uint8Array, offset: number, scan: Scan): number {
  const reader = new ScanReader(bytes, offset, scan);
  reader.read();
  return reader.end;
}

class ScanReader {
  readonly #bytes: Uint8Array;
  readonly #scan: Scan;
  readonly #predictions: number[];
  #offset: number;
  #bits = 0;
  #bitCount = 0;
  /** Blocks still to skip since a run of them has no more coefficients. */
  #endOfBand = 0;

  constructor(bytes: Uint8Array, offset: number, scan: Scan) {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#scan = scan;
    this.#predictions = scan.components.map(() => 0);
  }

  get end(): number {
    return this.#offset;
  }

  read(): void {
    const { components, restartInterval, unitsPerLine, unitsPerColumn } = this.#scan;
    const [only] = components;
    const isSingle = components.length === 1 && only !== undefined;
    const [across, down] = isSingle
      ? [only.component.ownPerLine, only.component.ownPerColumn]
      : [unitsPerLine, unitsPerColumn];
    for (let unit = 0; unit < across * down; unit++) {
      if (restartInterval > 0 && unit > 0 && unit % restartInterval === 0) this.#restart();
      const [row, column] = [Math.floor(unit / across), unit % across];
      if (isSingle) this.#block(0, row, column);
      else {
        for (const [index, { component }] of components.entries()) {
          for (let v = 0; v < component.v; v++)
            for (let h = 0; h < component.h; h++) this.#block(index, row * component.v + v, column * component.h + h);
        }
      }
    }
    // Fill bytes before the next marker belong to the scan.
    while (this.#offset < this.#bytes.length && !this.#isMarker(this.#offset)) this.#offset += 1;
  }

  #isMarker(at: number): boolean {
    const next = this.#bytes[at + 1] ?? 0;
    return this.#bytes[at] === 0xff && next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7);
  }

  #restart(): void {
    this.#bitCount = 0;
    this.#endOfBand = 0;
    this.#predictions.fill(0);
    const next = this.#bytes[this.#offset + 1] ?? 0;
    if (this.#bytes[this.#offset] !== 0xff || next < 0xd0 || next > 0xd7) refuse("a JPEG is damaged");
    this.#offset += 2;
  }

  #bit(): number {
    if (this.#bitCount === 0) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) return refuse("a JPEG is cut short");
      if (byte === 0xff) {
        if (this.#bytes[this.#offset + 1] !== 0) return refuse("a JPEG is damaged");
        this.#offset += 1;
      }
      this.#offset += 1;
      this.#bits = byte;
      this.#bitCount = 8;
    }
    this.#bitCount -= 1;
    return (this.#bits >> this.#bitCount) & 1;
  }

  #receive(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = (value << 1) | this.#bit();
    return value;
  }

  /** A number of `count` bits with its sign. */
  #extended(count: number): number {
    if (count === 0) return 0;
    const value = this.#receive(count);
    return value >= 2 ** (count - 1) ? value : value - 2 ** count + 1;
  }

  #symbol(table: Huffman | undefined): number {
    if (!table) return refuse("a JPEG is damaged");
    let code = 0;
    for (let length = 1; length <= 16; length++) {
      code = (code << 1) | this.#bit();
      if (code <= (table.maxCode[length] as number))
        return table.symbols[code + (table.offset[length] as number)] ?? refuse("a JPEG is damaged");
    }
    return refuse("a JPEG is damaged");
  }

  #block(index: number, row: number, column: number): void {
    const { component } = this.#scan.components[index] as Scan["components"][number];
    if (row >= component.blocksPerColumn || column >= component.blocksPerLine) refuse("a JPEG is damaged");
    const at = (row * component.blocksPerLine + column) * 64;
    const block = component.coefficients.subarray(at, at + 64);
    if (!this.#scan.isProgressive) this.#sequential(index, block);
    else if (this.#scan.spectralStart === 0) this.#progressiveDc(index, block);
    else if (this.#scan.high === 0) this.#firstAc(index, block);
    else this.#refineAc(index, block);
  }

  #dcDifference(index: number): number {
    const size = this.#symbol(this.#scan.components[index]?.dc);
    if (size > 15) refuse("a JPEG is damaged");
    const value = (this.#predictions[index] ?? 0) + this.#extended(size);
    this.#predictions[index] = value;
    return value;
  }

  #sequential(index: number, block: Int16Array): void {
    block[0] = this.#dcDifference(index);
    const ac = this.#scan.components[index]?.ac;
    for (let k = 1; k < 64; k++) {
      const symbol = this.#symbol(ac);
      const [run, size] = [symbol >> 4, symbol & 15];
      if (size === 0 && run < 15) return;
      k += run;
      if (size > 0) block[naturalOrder(k)] = this.#extended(size);
    }
  }

  #progressiveDc(index: number, block: Int16Array): void {
    const { high, low } = this.#scan;
    if (high === 0) block[0] = this.#dcDifference(index) << low;
    else if (this.#bit() === 1) block[0] = (block[0] as number) | (1 << low);
  }

  #firstAc(index: number, block: Int16Array): void {
    const { spectralStart, spectralEnd, low } = this.#scan;
    if (this.#endOfBand > 0) {
      this.#endOfBand -= 1;
      return;
    }
    for (let k = spectralStart; k <= spectralEnd; k++) {
      const symbol = this.#symbol(this.#scan.components[index]?.ac);
      const [run, size] = [symbol >> 4, symbol & 15];
      if (size === 0 && run < 15) {
        this.#endOfBand = 2 ** run - 1 + this.#receive(run);
        return;
      }
      k += run;
      if (size > 0) block[naturalOrder(k)] = this.#extended(size) * 2 ** low;
    }
  }

  #refineAc(index: number, block: Int16Array): void {
    const { spectralStart, spectralEnd, low } = this.#scan;
    let k = spectralStart;
    if (this.#endOfBand === 0) {
      for (; k <= spectralEnd; k++) {
        const symbol = this.#symbol(this.#scan.components[index]?.ac);
        let run = symbol >> 4;
        let value = 0;
        if ((symbol & 15) > 0) value = this.#bit() === 1 ? 2 ** low : -(2 ** low);
        else if (run < 15) {
          this.#endOfBand = 2 ** run + this.#receive(run);
          break;
        }
        // Coefficients that are there already are made finer; the new one goes after `run` of those that are not.
        for (; k <= spectralEnd; k++) {
          const place = naturalOrder(k);
          if (block[place] !== 0) this.#refine(block, place);
          else if (run === 0) {
            if (value !== 0) block[place] = value;
            break;
          } else run -= 1;
        }
      }
    }
    if (this.#endOfBand === 0) return;
    for (; k <= spectralEnd; k++) {
      const place = naturalOrder(k);
      if (block[place] !== 0) this.#refine(block, place);
    }
    this.#endOfBand -= 1;
  }

  #refine(block: Int16Array, place: number): void {
    if (this.#bit() === 0) return;
    const value = block[place] as number;
    const step = 2 ** this.#scan.low;
    if ((Math.abs(value) & step) === 0) block[place] = value + (value < 0 ? -step : step);
  }
}
