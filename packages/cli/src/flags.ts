import { parseHostPort } from "@cloister/encoding/host-port";
import { InvalidArgumentError } from "commander";

/** An option parser for whole numbers in a range; anything else is wrong usage. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is needed`);
  };
}

/** An option parser for a part of a whole, 0 to 1; anything else is wrong usage. */
export function fraction(text: string): number {
  const value = Number(text);
  if (text !== "" && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError("a number from 0 to 1 is needed");
}

/** An option parser for `host:port`, an IPv6 host in brackets; anything else is wrong usage. */
export function address(text: string): { readonly host: string; readonly port: number } {
  const parsed = parseHostPort(text);
  if (parsed === undefined) throw new InvalidArgumentError("host:port or [address]:port is needed");
  return parsed;
}

/** An option parser for an option that may be given several times, and for several words after it. */
export function listed<T>(
  parse: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before = []) => [...before, parse(text)];
}
