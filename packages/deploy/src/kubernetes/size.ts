const KIB = 1024n;
const UNITS = { Ki: KIB, Mi: KIB ** 2n, Gi: KIB ** 3n, Ti: KIB ** 4n } as const;
const QUANTITY = /^(\d{1,12})(Ki|Mi|Gi|Ti)?$/;

/** An amount of memory: of a container, an enclave, a model. */
export class Size {
  readonly bytes: bigint;

  private constructor(bytes: bigint) {
    this.bytes = bytes;
  }

  static bytes(count: number | bigint): Size {
    return new Size(BigInt(count));
  }

  static mebibytes(count: number): Size {
    return new Size(BigInt(count) * UNITS.Mi);
  }

  /** Reads a Kubernetes quantity of bytes, `512Mi` for example; undefined where the text is none. */
  static parse(text: string): Size | undefined {
    const [, digits, unit] = QUANTITY.exec(text) ?? [];
    if (digits === undefined) return undefined;
    return new Size(BigInt(digits) * (unit === undefined ? 1n : UNITS[unit as keyof typeof UNITS]));
  }

  plus(other: Size): Size {
    return new Size(this.bytes + other.bytes);
  }

  times(factor: number): Size {
    return new Size(this.bytes * BigInt(factor));
  }

  /** How often `part` fits. */
  over(part: Size): number {
    return Number(this.bytes / part.bytes);
  }

  /** The next power of two: what an enclave's size has to be. */
  toPowerOfTwo(): Size {
    let bytes = 1n;
    while (bytes < this.bytes) bytes *= 2n;
    return new Size(bytes);
  }

  /** Whole mebibytes, rounded up. */
  toMebibytes(): number {
    return Number((this.bytes + UNITS.Mi - 1n) / UNITS.Mi);
  }

  /** As a Kubernetes quantity, in the largest unit without a rest. */
  toString(): string {
    const whole = Object.entries(UNITS).findLast(([, unit]) => this.bytes % unit === 0n && this.bytes > 0n);
    return whole === undefined ? String(this.bytes) : `${this.bytes / whole[1]}${whole[0]}`;
  }
}
