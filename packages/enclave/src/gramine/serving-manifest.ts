import {
  commonParts,
  libraryMounts,
  librarySearch,
  type ManifestBase,
  trustedBinaries,
  type TrustedFile,
} from "./manifest-parts.ts";
import { findLibrary } from "./libraries.ts";
import type { GramineDocument } from "./schema.ts";
import { EnclaveError } from "../errors.ts";

const PROVISIONING_LIBRARY = "libsecret_prov_attest.so";
const CA_PATH = "/etc/cloister/ca.pem";
const SSL_CONFIG_PATH = "/ssl.cfg";

export interface ServingManifestOptions extends ManifestBase {
  /** `tensorflow_model_server`, absolute. */
  readonly binary: string;
  readonly model: string;
  /** Folder of the encrypted model, relative to where Gramine starts; the paths that its files are bound to begin with it. */
  readonly modelUri: string;
  /** The encrypted `ssl.cfg`, likewise. */
  readonly sslConfigUri: string;
  readonly keyName: string;
  /** The broker's authority, relative to where Gramine starts, with its digest. */
  readonly ca: TrustedFile;
  /** `host:port`, tried in order. */
  readonly brokers: readonly string[];
  readonly port: number;
  readonly engineThreads: number;
}

/**
 * A manifest for the unmodified `tensorflow_model_server`, provisioned by Gramine's own library: the host can neither drop TLS nor
 * open the REST port, which that server has in plaintext only. Throws `LIBRARY_NOT_FOUND`, `ELF_MALFORMED`.
 */
export async function servingManifest(options: ServingManifestOptions): Promise<GramineDocument> {
  const { binary, keyName, model } = options;
  const { loader, sgx, sys } = await commonParts(options);
  const provisioning = await provisioningLibrary(options);
  return {
    libos: { entrypoint: binary },
    loader: {
      ...loader,
      argv: servingArguments(options),
      env: {
        ...loader.env,
        ...threadEnvironment(options.engineThreads),
        LD_PRELOAD: provisioning,
        SECRET_PROVISION_CONSTRUCTOR: "1",
        SECRET_PROVISION_SET_KEY: keyName,
        SECRET_PROVISION_CA_CHAIN_PATH: CA_PATH,
        SECRET_PROVISION_SERVERS: options.brokers.join(","),
      },
    },
    fs: {
      mounts: [
        ...libraryMounts(options),
        { path: binary, uri: `file:${binary}` },
        { path: CA_PATH, uri: options.ca.uri },
        { type: "encrypted", path: `/models/${model}`, uri: options.modelUri, key_name: keyName },
        { type: "encrypted", path: SSL_CONFIG_PATH, uri: options.sslConfigUri, key_name: keyName },
        { type: "tmpfs", path: "/tmp" },
      ],
    },
    sgx: { ...sgx, trusted_files: [...(await trustedBinaries([binary, provisioning], options)), options.ca] },
    sys,
  };
}

function servingArguments({ model, port, engineThreads }: ServingManifestOptions): string[] {
  return [
    "tensorflow_model_server",
    `--port=${port}`,
    "--rest_api_port=0",
    `--model_name=${model}`,
    `--model_base_path=/models/${model}`,
    `--ssl_config_file=${SSL_CONFIG_PATH}`,
    // The set of files is fixed by the owner: there is nothing to look for later.
    "--file_system_poll_wait_seconds=0",
    "--enable_model_warmup=true",
    `--tensorflow_intra_op_parallelism=${engineThreads}`,
    `--tensorflow_inter_op_parallelism=${engineThreads}`,
    // Gramine has no SO_REUSEPORT; without this the server logs an alarming error at each start.
    "--grpc_channel_arguments=grpc.so_reuseport=0",
  ];
}

const threadEnvironment = (threads: number) => ({
  OMP_NUM_THREADS: String(threads),
  MKL_NUM_THREADS: String(threads),
  KMP_BLOCKTIME: "0",
});

async function provisioningLibrary(base: ManifestBase): Promise<string> {
  const path = await findLibrary(PROVISIONING_LIBRARY, librarySearch(base));
  if (path !== undefined) return path;
  throw new EnclaveError("LIBRARY_NOT_FOUND", {
    what: `${PROVISIONING_LIBRARY} was not found`,
    why: "it gets the key before the server starts; Gramine's package brings it",
    remedy: "install Gramine with DCAP, or name the library's folder with --library-folder",
  });
}
