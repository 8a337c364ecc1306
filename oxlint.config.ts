import { defineConfig } from "oxlint";
import { IO_MODULES, LAYERS, PURE, RIM_ONLY } from "./scripts/layers.ts";

type RestrictedImports = {
  paths?: { name: string; message: string }[];
  patterns: { group: string[]; message: string }[];
};

const ioMessage = "this module is pure: bytes, time and randomness come in as arguments; move the I/O to src/rim/";

/** What a package must not import: packages after it in the list, and other packages' files by relative path. */
function arrows(name: string, noIo: boolean): RestrictedImports {
  const later = LAYERS.slice(LAYERS.indexOf(name as (typeof LAYERS)[number]) + 1);
  return {
    ...(noIo && { paths: IO_MODULES.map((module) => ({ name: module, message: ioMessage })) }),
    patterns: [
      ...(later.length > 0
        ? [
            {
              group: later.flatMap((other) => [`@cloister/${other}`, `@cloister/${other}/*`]),
              message: `reversed arrow: ${name} stands before it in scripts/layers.ts`,
            },
          ]
        : []),
      { group: LAYERS.map((other) => `**/${other}/src/**`), message: "import another package by its name" },
      ...(noIo ? [{ group: ["**/rim/*"], message: "a pure module must not import its own rim" }] : []),
    ],
  };
}

/** The rule entry for a package. `noIo` also forbids the modules that touch the world. */
const restrict = (name: string, noIo: boolean): { "no-restricted-imports": ["error", RestrictedImports] } => ({
  "no-restricted-imports": ["error", arrows(name, noIo)],
});

const isIn = (list: readonly string[], name: string): boolean => list.includes(name);

export default defineConfig({
  plugins: ["typescript", "unicorn", "oxc", "import", "node"],
  categories: { correctness: "error", suspicious: "error", perf: "error" },
  ignorePatterns: ["**/dist/**", "**/gen/**", "e2e/oracle/**", "node_modules/**"],
  rules: {
    "no-console": "error",
    "no-eval": "error",
    "no-await-in-loop": "off",
    "no-underscore-dangle": "off",
    "no-shadow": "off",
    "max-classes-per-file": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/no-array-reverse": "off",
    "unicorn/no-array-for-each": "off",
    "unicorn/consistent-function-scoping": "off",
    "unicorn/no-array-callback-reference": "off",
    "import/no-cycle": "error",
    "import/no-unassigned-import": "off",
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/await-thenable": "error",
    "typescript/no-unsafe-argument": "error",
    "typescript/no-unsafe-assignment": "error",
    "typescript/no-unsafe-call": "error",
    "typescript/no-unsafe-member-access": "error",
    "typescript/no-unsafe-return": "error",
    "typescript/only-throw-error": "error",
    "typescript/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "typescript/consistent-type-imports": "error",
    "typescript/no-unsafe-type-assertion": "off",
    "typescript/no-unnecessary-type-assertion": "error",
  },
  overrides: [
    ...LAYERS.map((name) => ({
      files: [`packages/${name}/src/**/*.ts`],
      rules: restrict(name, isIn(PURE, name) || isIn(RIM_ONLY, name)),
    })),
    ...RIM_ONLY.map((name) => ({
      // Rim modules, and tests, which read their vectors from disk.
      files: [`packages/${name}/src/rim/**/*.ts`, `packages/${name}/src/**/*.test.ts`],
      rules: restrict(name, false),
    })),
    ...PURE.map((name) => ({
      files: [`packages/${name}/src/**/*.test.ts`],
      rules: restrict(name, false),
    })),
    {
      // Suites that several test files run live in a folder `testing`.
      files: ["**/*.test.ts", "**/testing/*behaviour.ts"],
      rules: {
        "typescript/no-floating-promises": "off",
        "typescript/no-non-null-assertion": "off",
        "typescript/require-array-sort-compare": "off",
        "unicorn/no-useless-spread": "off",
      },
    },
    { files: ["scripts/**", "bench/**", "packages/cli/src/**"], rules: { "no-console": "off" } },
  ],
});
