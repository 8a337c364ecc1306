// The words of gramine-sgx-pf-crypt as getopt_long reads them: options before or after the mode, short ones joined (`-vV`,
// `-iPATH`), long ones with `=` or cut short as long as one option fits, `--` before words that start with a dash.

/** Options that take a value, and those that do not, by long name; the short letter where the stock tool has one. */
const OPTIONS = {
  "wrap-key": { short: "w", takesValue: true },
  input: { short: "i", takesValue: true },
  output: { short: "o", takesValue: true },
  verify: { short: "V", takesValue: false },
  verbose: { short: "v", takesValue: false },
  help: { short: "h", takesValue: false },
  force: { short: undefined, takesValue: false },
  json: { short: undefined, takesValue: false },
  "bound-path": { short: undefined, takesValue: true },
  format: { short: undefined, takesValue: true },
  tolerate: { short: undefined, takesValue: true },
  threads: { short: undefined, takesValue: true },
} as const;

type PfCryptOption = keyof typeof OPTIONS;

/** The words taken apart; nothing is checked beyond their form. */
export interface PfCryptWords {
  /** What is no option: the mode, and words that should not be there. */
  readonly operands: readonly string[];
  /** Values by long name; `true` for options without one. Where one is repeated the last counts, as with getopt. */
  readonly options: Partial<Readonly<Record<PfCryptOption, string | true>>>;
}

const NAMES = Object.keys(OPTIONS) as PfCryptOption[];

/** What follows `seal pf-crypt` on a command line, or `undefined` where it is another command. */
export function pfCryptWords(argv: readonly string[]): readonly string[] | undefined {
  return argv[0] === "seal" && argv[1] === "pf-crypt" ? argv.slice(2) : undefined;
}

/** Takes the words apart, or says what is wrong with them. */
export function parsePfCryptWords(argv: readonly string[]): PfCryptWords | { readonly wrong: string } {
  const operands: string[] = [];
  const options: Partial<Record<PfCryptOption, string | true>> = {};
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--") {
      operands.push(...words);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    const read = word.startsWith("--") ? readLong(word.slice(2)) : readShort(word.slice(1));
    if ("wrong" in read) return read;
    for (const flag of read.flags) options[flag] = true;
    if (read.name === undefined) continue;
    const value = read.value ?? words.shift();
    if (value === undefined) return { wrong: `--${read.name} needs a value` };
    options[read.name] = value;
  }
  return { operands, options };
}

/** Flags that were set, then at most one option whose value follows or stands in the word. */
interface ReadWord {
  readonly flags: readonly PfCryptOption[];
  readonly name?: PfCryptOption;
  readonly value?: string | undefined;
}

function readLong(text: string): ReadWord | { readonly wrong: string } {
  const [given = "", ...rest] = text.split("=");
  const value = rest.length === 0 ? undefined : rest.join("=");
  const fitting = NAMES.includes(given as PfCryptOption) ? [given as PfCryptOption] : startingWith(given);
  const [name] = fitting;
  if (name === undefined || fitting.length > 1) {
    return { wrong: `--${given} is ${name === undefined ? "unknown" : `one of --${fitting.join(", --")}`}` };
  }
  if (OPTIONS[name].takesValue) return { flags: [], name, value };
  return value === undefined ? { flags: [name] } : { wrong: `--${name} takes no value` };
}

function startingWith(text: string): PfCryptOption[] {
  return text === "" ? [] : NAMES.filter((name) => name.startsWith(text));
}

function readShort(letters: string): ReadWord | { readonly wrong: string } {
  const flags: PfCryptOption[] = [];
  for (let at = 0; at < letters.length; at += 1) {
    const letter = letters.charAt(at);
    const name = NAMES.find((each) => OPTIONS[each].short === letter);
    if (name === undefined) return { wrong: `-${letter} is unknown` };
    if (OPTIONS[name].takesValue) return { flags, name, value: letters.slice(at + 1) || undefined };
    flags.push(name);
  }
  return { flags };
}
