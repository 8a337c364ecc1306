// Patterns of TensorFlow (RE2) run as JavaScript's. RE2 takes linear time; JavaScript backtracks, so that a pattern of the model
// could keep the thread busy for ever. Only patterns that cannot are taken: no repetition inside a repetition, no
// look-around, no back reference.

import { unlowerable } from "../lower/emitter.ts";

const MAX_LENGTH = 1000;

/** @throws Unlowerable for patterns that mean something else here, or could take exponential time */
export function compilePattern(pattern: string, flags: string): RegExp {
  if (pattern.length > MAX_LENGTH || !isTame(pattern)) unlowerable("a pattern that may take too long");
  const unicode = pattern.replace(/\\(?=[!"#%&',:;<=>@_`~-])/g, "");
  try {
    return new RegExp(unicode, `${flags}u`);
  } catch {
    return unlowerable("a pattern that JavaScript does not know");
  }
}

/** At most one unbounded repetition may apply to any character, and groups are plain. */
function isTame(pattern: string): boolean {
  // Escapes and character classes stand for one character each.
  const shape = pattern
    .replace(/\\[1-9]/g, "(?!")
    .replace(/\\./gs, "x")
    .replace(/\[\^?\]?[^\]]*\]/g, "x");
  if (/\(\?[^:]/.test(shape)) return false;
  const repeats: boolean[] = [false];
  for (let i = 0; i < shape.length; i++) {
    const character = shape[i];
    if (character === "(") repeats.push(false);
    const isRepeated = (at: number): boolean => /[*+{]/.test(shape[at] ?? "");
    if (character === ")") {
      const inner = repeats.pop() ?? false;
      if (inner && isRepeated(i + 1)) return false;
      repeats[repeats.length - 1] = (repeats.at(-1) ?? false) || inner;
    }
    if (isRepeated(i)) repeats[repeats.length - 1] = true;
  }
  return repeats.length === 1;
}

/** RE2 writes groups as \1, JavaScript as $1. */
export function replacement(rewrite: string): string {
  return rewrite
    .replaceAll("$", "$$$$")
    .replace(/\\(\d)/g, (_, group: string) => (group === "0" ? "$&" : `$${group}`))
    .replaceAll("\\\\", "\\");
}
