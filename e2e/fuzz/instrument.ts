import { parse, type Node } from "acorn";

// Puts a counter at the start of every function, branch and loop body, so that a run shows which edges it took and how often.

/** Name of the counters in an instrumented module, and on `globalThis`. */
export const COUNTERS = "__fuzzCounters";

export interface Instrumented {
  readonly source: string;
  /** Counters used so far, this module's included. */
  readonly nextCounter: number;
  /** Strings and numbers that stand in the source: an input that holds one of them may get further. */
  readonly literals: readonly (string | number)[];
}

type Field = Node | null | undefined;
type Child = Node & Readonly<Record<string, unknown>>;

/** Instruments JavaScript, the types of which are stripped already. */
export function instrument(javascript: string, firstCounter: number): Instrumented {
  const insertions = new Insertions(firstCounter);
  const literals = new Set<string | number>();
  const program: Node = parse(javascript, { ecmaVersion: "latest", sourceType: "module" });
  visit(program as Child, insertions, literals);
  const source = `const ${COUNTERS}=globalThis.${COUNTERS};${insertions.applyTo(javascript)}`;
  return { source, nextCounter: insertions.nextCounter, literals: [...literals] };
}

function visit(node: Child, insertions: Insertions, literals: Set<string | number>): void {
  const value = node.type === "Literal" ? node["value"] : undefined;
  if (typeof value === "string" || typeof value === "number") literals.add(value);
  insertions.enter(node);
  for (const child of Object.values(node).flat()) {
    if (isNode(child)) visit(child, insertions, literals);
  }
  insertions.leave(node);
}

function isNode(value: unknown): value is Child {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** Text to put in before and behind nodes: outer ones first before, inner ones first behind. */
class Insertions {
  readonly #before = new Map<number, string>();
  readonly #behind = new Map<number, string>();
  readonly #wrapped = new Map<Field, "expression" | "statement">();
  nextCounter: number;

  constructor(firstCounter: number) {
    this.nextCounter = firstCounter;
  }

  enter(node: Child): void {
    this.#mark(node);
    const kind = this.#wrapped.get(node);
    if (kind === "expression") this.#put(this.#before, node.start, `(${this.#count()},(`);
    if (kind === "statement" && node.type === "BlockStatement") {
      this.#put(this.#before, node.start + 1, `${this.#count()};`);
    } else if (kind === "statement") this.#put(this.#before, node.start, `{${this.#count()};`);
    const first = node.type === "SwitchCase" ? (node["consequent"] as readonly Node[])[0] : undefined;
    if (first !== undefined) this.#put(this.#before, first.start, `${this.#count()};`);
  }

  leave(node: Child): void {
    const hasNoElse = node.type === "IfStatement" && !isNode(node["alternate"]);
    if (hasNoElse) this.#put(this.#behind, node.end, ` else {${this.#count()};}`);
    const kind = this.#wrapped.get(node);
    if (kind === "expression") this.#put(this.#behind, node.end, "))");
    if (kind === "statement" && node.type !== "BlockStatement") this.#put(this.#behind, node.end, "}");
  }

  applyTo(source: string): string {
    const places = [...new Set([...this.#before.keys(), ...this.#behind.keys()])].sort((a, b) => a - b);
    let from = 0;
    let text = "";
    for (const place of places) {
      text += source.slice(from, place) + (this.#behind.get(place) ?? "") + (this.#before.get(place) ?? "");
      from = place;
    }
    return text + source.slice(from);
  }

  /** Notes which children of a node begin an edge. */
  #mark(node: Child): void {
    const wrap = (kind: "expression" | "statement", ...names: readonly string[]): void => {
      for (const name of names) this.#wrapped.set(node[name] as Field, kind);
    };
    switch (node.type) {
      case "ArrowFunctionExpression":
        return wrap(node["expression"] === true ? "expression" : "statement", "body");
      case "ConditionalExpression":
        return wrap("expression", "consequent", "alternate");
      case "LogicalExpression":
        return wrap("expression", "right");
      case "IfStatement":
        return wrap("statement", "consequent", "alternate");
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "CatchClause":
      case "ForStatement":
      case "ForOfStatement":
      case "WhileStatement":
      case "DoWhileStatement":
        return wrap("statement", "body");
    }
  }

  #count(): string {
    const counter = this.nextCounter;
    this.nextCounter += 1;
    return `${COUNTERS}[${counter}]++`;
  }

  #put(places: Map<number, string>, at: number, text: string): void {
    places.set(at, (places.get(at) ?? "") + text);
  }
}
