import { fromHex } from "@cloister/encoding";
import type { JsonObject, JsonValue } from "@cloister/encoding/canonical-json";

const DATE_TIME = /^\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):\d{2}:\d{2}Z$/;
const ADVISORY_ID = /^[\x21-\x7e]{1,64}$/;

/** A member that is missing, or not of the type that the schema says. */
export class FieldError extends TypeError {}

/** Typed access to the members of a JSON object. Every method throws `FieldError`. Members that nobody asks for may be there. */
export class Fields {
  readonly #object: JsonObject;

  constructor(value: JsonValue | undefined) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FieldError("not an object");
    this.#object = value as JsonObject;
  }

  has(name: string): boolean {
    return name in this.#object;
  }

  object(name: string): Fields {
    return new Fields(this.#object[name]);
  }

  /** The objects of an array of at least `minimum`. */
  objects(name: string, minimum = 1): readonly Fields[] {
    const values = this.values(name);
    if (values.length < minimum) throw new FieldError("an array that is too short");
    return values.map((item) => new Fields(item));
  }

  /** What an array holds, of any type. */
  values(name: string): readonly JsonValue[] {
    const value = this.#object[name];
    if (!Array.isArray(value)) throw new FieldError("not an array");
    return value as readonly JsonValue[];
  }

  string(name: string): string {
    const value = this.#object[name];
    if (typeof value !== "string") throw new FieldError("not a string");
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#object[name];
    if (typeof value !== "boolean") throw new FieldError("not a boolean");
    return value;
  }

  /** One of a closed list of words. */
  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const text = this.string(name);
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new FieldError("not a known word");
    return word;
  }

  /** An integer from 0 to `max`. */
  unsigned(name: string, max: number): number {
    const value = this.#object[name];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      throw new FieldError("not an integer in range");
    }
    return value;
  }

  number(name: string): number {
    const value = this.#object[name];
    if (typeof value !== "number") throw new FieldError("not a number");
    return value;
  }

  /** Exactly `length` bytes in hex of either case. */
  hex(name: string, length: number): Uint8Array {
    const bytes = fromHex(this.string(name));
    if (bytes?.length !== length) throw new FieldError("not hex of the right length");
    return bytes;
  }

  /** An ISO 8601 date and time in UTC and seconds. */
  date(name: string): Date {
    const text = this.string(name);
    // `Date` takes February 31st for a day in March, so the day is compared.
    const date = new Date(DATE_TIME.test(text) ? text : Number.NaN);
    if (date.getUTCDate() !== Number(text.slice(8, 10))) throw new FieldError("not a date");
    return date;
  }

  /** `advisoryIDs`, which may be absent. */
  advisoryIds(): readonly string[] {
    if (!this.has("advisoryIDs")) return [];
    const value = this.#object["advisoryIDs"];
    const isIds = Array.isArray(value) && value.every((item) => typeof item === "string" && ADVISORY_ID.test(item));
    if (!isIds) throw new FieldError("not a list of advisory ids");
    return value as readonly string[];
  }
}
