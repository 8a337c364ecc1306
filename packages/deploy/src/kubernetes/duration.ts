const UNITS = { s: 1, m: 60, h: 3600 } as const;
const TEXT = /^(\d{1,6})(s|m|h)$/;

/** A span of time in whole seconds, as Kubernetes' fields count it. */
export class Duration {
  readonly seconds: number;

  private constructor(seconds: number) {
    this.seconds = seconds;
  }

  static seconds(count: number): Duration {
    return new Duration(count);
  }

  /** Reads `30s`, `5m` or `1h`; undefined where the text is none. */
  static parse(text: string): Duration | undefined {
    const [, digits, unit] = TEXT.exec(text) ?? [];
    return digits === undefined ? undefined : new Duration(Number(digits) * UNITS[unit as keyof typeof UNITS]);
  }

  plus(other: Duration): Duration {
    return new Duration(this.seconds + other.seconds);
  }
}
