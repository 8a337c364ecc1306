import { styleText } from "node:util";

type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

/** Where a command writes for people. With `--json` everything here is silent, except errors on standard error. */
export interface Terminal {
  readonly line: (text?: string) => void;
  readonly style: (style: Style | Style[], text: string) => string;
  /** A line that the next `line` or `status` replaces; nothing where output is not a terminal. */
  readonly status: (text: string) => void;
}

/** A terminal on standard output. Colours follow the stream's abilities and NO_COLOR. */
export function openTerminal(silent: boolean): Terminal {
  const out = process.stdout;
  let statusShown = false;
  const clear = (): void => {
    if (statusShown) out.write("\r\u001B[2K");
    statusShown = false;
  };
  return {
    line: (text = "") => {
      if (silent) return;
      clear();
      out.write(`${text}\n`);
    },
    status: (text) => {
      if (silent || !out.isTTY) return;
      clear();
      out.write(text.slice(0, Math.max(0, out.columns - 1)));
      statusShown = true;
    },
    style: (style, text) => styleText(style, text, { stream: out }),
  };
}
