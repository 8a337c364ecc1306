import { InvalidArgumentError } from "commander";

/** An option parser for whole numbers in a range; anything else is wrong usage. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is needed`);
  };
}
