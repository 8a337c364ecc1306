import type { Values } from "./values.ts";

/** What a condition looks at: a value that is one of a few words, or a switch. */
export interface Condition {
  readonly path: string;
  /** Words that make it true; `true` for a switch that has to be on. */
  readonly is: readonly string[] | true;
}

/** Stands for content that is there under a condition only. A renderer decides, or writes the condition down. */
export class Conditional {
  readonly condition: Condition;
  readonly content: unknown;

  constructor(condition: Condition, content: unknown) {
    this.condition = condition;
    this.content = content;
  }
}

/** Stands for a number that is filled in later. */
export class NumberReference {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/**
 * Where objects take their values from. Every object is written once, over a source: over plain values it is the object itself,
 * over references it is the object with holes, from which a Helm template is printed.
 */
export interface Source {
  /** The text of a value, or its reference. */
  text(path: string): string;
  number(path: string): number;
  /** `content` where the condition holds; elsewhere nothing (entries without content are left out). */
  when<T>(condition: Condition, content: T): T;
}

/** Plain values. */
export function valueSource(values: Values): Source {
  return {
    text: (path) => String(lookUp(values, path)),
    number: (path) => Number(lookUp(values, path)),
    when: (condition, content) => (holds(values, condition) ? content : (undefined as typeof content)),
  };
}

/** References for a Helm template. */
export const referenceSource: Source = {
  text: (path) => `{{ .Values.${path} }}`,
  number: (path) => new NumberReference(path) as unknown as number,
  when: (condition, content) => new Conditional(condition, content) as unknown as typeof content,
};

function holds(values: Values, { path, is }: Condition): boolean {
  const value = lookUp(values, path);
  return is === true ? value === true : is.includes(String(value));
}

function lookUp(values: Values, path: string): unknown {
  let value: unknown = values;
  for (const part of path.split(".")) value = (value as Record<string, unknown>)[part];
  if (value === undefined) throw new TypeError(`there is no value ${path}`);
  return value;
}
