import { type LintRule, when } from "./rule.ts";
import { at, text } from "./view.ts";

const MIN_THREADS = 4;
const TENSORFLOW_SERVER = /tensorflow_model_server$/;

/** The server's own flags, and the size and version of the enclave around it. */
export const SERVER_RULES: readonly LintRule[] = [
  {
    name: "plaintext-rest",
    severity: "error",
    remedy: "set --rest_api_port=0: that server has no TLS on its REST port",
    find: ({ argv, entrypoint }) =>
      (TENSORFLOW_SERVER.test(entrypoint) ? (argv ?? []) : [])
        .filter((word) => /^--rest_api_port=(?!0$)/.test(word))
        .map((word) => ({ at: `loader.argv ${word}`, why: "requests over REST bypass TLS and client certificates" })),
  },
  {
    name: "plaintext-grpc",
    severity: "error",
    remedy: "add --ssl_config_file to loader.argv",
    find: ({ argv, entrypoint }) =>
      when(
        TENSORFLOW_SERVER.test(entrypoint) &&
          argv !== null &&
          !argv.some((word) => word.startsWith("--ssl_config_file=/")),
        { at: "loader.argv", why: "without --ssl_config_file the server takes plaintext, and says nothing about it" },
      ),
  },
  {
    name: "few-threads",
    severity: "warning",
    remedy: `set sgx.max_threads to ${MIN_THREADS} or more`,
    find: (view) => {
      const threads = at(view.document, "sgx.max_threads");
      return when(typeof threads === "number" && threads < MIN_THREADS, {
        at: "sgx.max_threads",
        why: "Gramine's own helper threads need some of them",
      });
    },
  },
  {
    name: "enclave-size",
    severity: "error",
    remedy: "take a power of two: 2G, 4G, 8G",
    find: (view) => {
      const size = /^(\d+)[KMG]?$/.exec(text(at(view.document, "sgx.enclave_size")))?.[1];
      return when(size !== undefined && !Number.isInteger(Math.log2(Number(size))), {
        at: "sgx.enclave_size",
        why: "an enclave's size is a power of two",
      });
    },
  },
  {
    name: "no-version",
    severity: "note",
    remedy: "set sgx.isvprodid and sgx.isvsvn, and raise the latter with each fix",
    find: (view) =>
      when(at(view.document, "sgx.isvsvn") === undefined, {
        at: "sgx.isvsvn",
        why: "a policy by signer cannot tell a fixed build from the one before",
      }),
  },
];
