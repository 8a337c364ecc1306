/** An address in the memory of OpenSSL; a number wherever it fits into one. */
export type Address = number | bigint;

/** 1 for success, 0 or less for a failure. */
type Status = number;

/**
 * What the cipher of nodes needs of OpenSSL's C interface (openssl/evp.h), as koffi calls it. Byte arrays are passed as the
 * address of their first byte: the callee sees no length, so callers have to make sure that there is room.
 */
export interface LibCrypto {
  readonly fetchCipher: (library: null, algorithm: string, properties: null) => Address;
  readonly newContext: () => Address;
  /** Wipes the keys in it as well. */
  readonly freeContext: (context: Address) => void;
  /** `cipher` 0, `key` or `iv` null: as they were. `direction` 1 encrypts, 0 decrypts. */
  readonly init: (
    context: Address,
    cipher: Address,
    engine: null,
    key: Uint8Array | null,
    iv: Uint8Array | null,
    direction: number,
  ) => Status;
  readonly update: (
    context: Address,
    output: Uint8Array,
    outputBytes: Int32Array,
    input: Uint8Array,
    inputBytes: number,
  ) => Status;
  /** Fails where a decryption's tag does not match. */
  readonly final: (context: Address, output: Uint8Array, outputBytes: Int32Array) => Status;
  readonly control: (context: Address, command: number, bytes: number, value: Uint8Array) => Status;
  readonly clearErrors: () => void;
}

/**
 * The OpenSSL that this process has already: Node's program exports the one it is linked with, whether it is inside it or a library
 * of the system. Rejects where koffi is not there, or the symbols of OpenSSL 3 are not, or are those of another OpenSSL than
 * `node:crypto` has.
 */
export async function loadLibCrypto(): Promise<LibCrypto> {
  const { load } = await import("koffi");
  const library = load(null);
  // koffi declares calls by text; the types stand in `LibCrypto`.
  const bind = (symbol: string, result: string, parameters: string[]): unknown =>
    library.func(symbol, result, parameters);
  const version = (bind("OpenSSL_version", "str", ["int"]) as (what: number) => string)(0);
  if (version.split(" ")[1] !== process.versions.openssl) throw new Error(`the process exports ${version}`);
  return {
    fetchCipher: bind("EVP_CIPHER_fetch", "uintptr_t", ["void *", "str", "str"]),
    newContext: bind("EVP_CIPHER_CTX_new", "uintptr_t", []),
    freeContext: bind("EVP_CIPHER_CTX_free", "void", ["uintptr_t"]),
    init: bind("EVP_CipherInit_ex", "int", ["uintptr_t", "uintptr_t", "void *", "void *", "void *", "int"]),
    update: bind("EVP_CipherUpdate", "int", ["uintptr_t", "void *", "void *", "void *", "int"]),
    final: bind("EVP_CipherFinal_ex", "int", ["uintptr_t", "void *", "void *"]),
    control: bind("EVP_CIPHER_CTX_ctrl", "int", ["uintptr_t", "int", "int", "void *"]),
    clearErrors: bind("ERR_clear_error", "void", []),
  } as LibCrypto;
}
