/**
 * One step of a node's set-up, as POSIX shell. Doing it twice changes nothing: `check` says whether it is done already, and is
 * asked again afterwards.
 */
export interface BootstrapStep {
  readonly id: string;
  readonly title: string;
  /** Conditions that all hold once the step is done. */
  readonly check: readonly string[];
  /** Commands; nothing for what only a person can do. */
  readonly run: readonly string[];
  /** Why it fails, where it does. */
  readonly cause: string;
  readonly remedy: string;
}

/** The conditions of a step as one command. */
export function checkScript({ check }: BootstrapStep): string {
  return check.join(" &&\n");
}

/** The commands of a step; the first that fails ends them. */
export function runScript({ run }: BootstrapStep): string {
  return `set -eu\n${run.join("\n")}`;
}

/** A file with this content, and no other. It is written beside its place and moved, so that nobody reads half of it. */
export function writeFile(path: string, content: string, mode = "0644"): Pick<BootstrapStep, "check" | "run"> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return {
    check: [`[ "$(cat '${path}' 2>/dev/null)" = '${content.trimEnd()}' ]`],
    run: [
      `mkdir -p '${folder}'`,
      `printf '%s\\n' '${content.trimEnd()}' > '${path}.new'`,
      `chmod ${mode} '${path}.new'`,
      `mv '${path}.new' '${path}'`,
    ],
  };
}

/** Installs packages without questions. */
export function install(...packages: readonly string[]): string {
  return `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

export const UPDATE_LISTS = "apt-get update";

/** Condition: all are installed. */
export function areInstalled(...packages: readonly string[]): string[] {
  return packages.map((name) => `dpkg-query -W -f '\${Status}' ${name} 2>/dev/null | grep -q ' installed$'`);
}
