// TensorFlow's C API (tensorflow/c/c_api.h, tf_tensor.h, tf_tstring.h, env.h of 2.21), as far as the engine needs it.

import { join } from "node:path";
import type * as koffiModule from "koffi";
import type { KoffiFunc, LibraryHandle, TypeObject } from "koffi";
import { engineError } from "../failure.ts";

/** An address in the library's memory. Those of a process fit into a double. */
export type Address = number;

type Call<Args extends readonly unknown[], Result> = KoffiFunc<(...args: [...Args]) => Result>;

type Koffi = typeof koffiModule;

/** Both are in the Python wheel and in the Java jar; the second needs the first. */
export const LIBRARY_FILES = ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2"] as const;

/** RTLD_NOW | RTLD_NODELETE of dlfcn.h on Linux. */
const PINNED = 0x1002;

const ADDRESS = "uintptr_t";
const STATUS = ADDRESS;

function declare(framework: LibraryHandle, main: LibraryHandle) {
  const bind = <Args extends readonly unknown[], Result>(
    library: LibraryHandle,
    name: string,
    result: string | TypeObject,
    args: readonly string[],
  ) => library.func(name, result, [...args]) as unknown as Call<Args, Result>;
  return {
    version: bind<[], string>(main, "TF_Version", "str", []),
    newStatus: bind<[], Address>(framework, "TF_NewStatus", ADDRESS, []),
    deleteStatus: bind<[Address], void>(framework, "TF_DeleteStatus", "void", [STATUS]),
    getCode: bind<[Address], number>(framework, "TF_GetCode", "int", [STATUS]),
    message: bind<[Address], string>(framework, "TF_Message", "str", [STATUS]),

    createDir: bind<[string, Address], void>(framework, "TF_CreateDir", "void", ["str", STATUS]),
    newWritableFile: bind<[string, BigUint64Array, Address], void>(framework, "TF_NewWritableFile", "void", [
      "str",
      "void *",
      STATUS,
    ]),
    appendWritableFile: bind<[Address, Uint8Array, number, Address], void>(framework, "TF_AppendWritableFile", "void", [
      ADDRESS,
      "void *",
      "size_t",
      STATUS,
    ]),
    closeWritableFile: bind<[Address, Address], void>(framework, "TF_CloseWritableFile", "void", [ADDRESS, STATUS]),
    deleteFile: bind<[string, Address], void>(framework, "TF_DeleteFile", "void", ["str", STATUS]),
    deleteDir: bind<[string, Address], void>(framework, "TF_DeleteDir", "void", ["str", STATUS]),

    newSessionOptions: bind<[], Address>(main, "TF_NewSessionOptions", ADDRESS, []),
    setConfig: bind<[Address, Uint8Array, number, Address], void>(main, "TF_SetConfig", "void", [
      ADDRESS,
      "void *",
      "size_t",
      STATUS,
    ]),
    deleteSessionOptions: bind<[Address], void>(main, "TF_DeleteSessionOptions", "void", [ADDRESS]),
    newGraph: bind<[], Address>(main, "TF_NewGraph", ADDRESS, []),
    deleteGraph: bind<[Address], void>(main, "TF_DeleteGraph", "void", [ADDRESS]),
    graphOperationByName: bind<[Address, string], Address>(main, "TF_GraphOperationByName", ADDRESS, [ADDRESS, "str"]),
    /** Options, run options, folder, tags, their count, graph (filled), meta graph (not wanted: 0), status. */
    loadSessionFromSavedModel: bind<
      [Address, Address, string, readonly string[], number, Address, Address, Address],
      Address
    >(main, "TF_LoadSessionFromSavedModel", ADDRESS, [
      ADDRESS,
      ADDRESS,
      "str",
      "str *",
      "int",
      ADDRESS,
      ADDRESS,
      STATUS,
    ]),
    /** Session, run options, inputs (TF_Output), their tensors, count, outputs, their tensors (filled), count, no targets, status. */
    sessionRun: bind<
      [
        Address,
        Address,
        BigUint64Array,
        BigUint64Array,
        number,
        BigUint64Array,
        BigUint64Array,
        number,
        Address,
        number,
        Address,
        Address,
      ],
      void
    >(main, "TF_SessionRun", "void", [
      ADDRESS,
      ADDRESS,
      "void *",
      "void *",
      "int",
      "void *",
      "void *",
      "int",
      ADDRESS,
      "int",
      ADDRESS,
      STATUS,
    ]),
    closeSession: bind<[Address, Address], void>(main, "TF_CloseSession", "void", [ADDRESS, STATUS]),
    deleteSession: bind<[Address, Address], void>(main, "TF_DeleteSession", "void", [ADDRESS, STATUS]),

    /** Dtype, dimensions, their count, bytes. */
    allocateTensor: bind<[number, BigInt64Array, number, number], Address>(framework, "TF_AllocateTensor", ADDRESS, [
      "int",
      "void *",
      "int",
      "size_t",
    ]),
    deleteTensor: bind<[Address], void>(framework, "TF_DeleteTensor", "void", [ADDRESS]),
    tensorType: bind<[Address], number>(framework, "TF_TensorType", "int", [ADDRESS]),
    numDims: bind<[Address], number>(framework, "TF_NumDims", "int", [ADDRESS]),
    dim: bind<[Address, number], number>(framework, "TF_Dim", "int64_t", [ADDRESS, "int"]),
    tensorData: bind<[Address], Address>(framework, "TF_TensorData", ADDRESS, [ADDRESS]),
    tensorByteSize: bind<[Address], number>(framework, "TF_TensorByteSize", "size_t", [ADDRESS]),

    stringInit: bind<[Address], void>(main, "TF_StringInit", "void", [ADDRESS]),
    stringCopy: bind<[Address, Uint8Array, number], void>(main, "TF_StringCopy", "void", [ADDRESS, "void *", "size_t"]),
    stringData: bind<[Address], Address>(main, "TF_StringGetDataPointer", ADDRESS, [ADDRESS]),
    stringSize: bind<[Address], number>(main, "TF_StringGetSize", "size_t", [ADDRESS]),
  };
}

export interface CApi extends ReturnType<typeof declare> {
  /** The library's memory; valid as long as the object that it belongs to. */
  readonly memory: (address: Address, bytes: number) => ArrayBuffer;
}

let loaded: CApi | undefined;

/**
 * Loads the library out of a folder that holds LIBRARY_FILES. A process has one TensorFlow: a second call gives the first one.
 *
 * @throws EngineError ENGINE_MISSING
 */
export async function loadCApi(folder: string): Promise<CApi> {
  const koffi = await importKoffi();
  try {
    return (loaded ??= bindLibrary(koffi, folder));
  } catch (cause) {
    throw engineError(
      "ENGINE_MISSING",
      `TensorFlow's library cannot be loaded from ${folder}`,
      "it is damaged, or built for another system",
      "run: cloister engine install tensorflow",
      cause,
    );
  }
}

function bindLibrary(koffi: Koffi, folder: string): CApi {
  const paths = LIBRARY_FILES.map((file) => join(folder, file));
  const libc = koffi.load("libc.so.6");
  // Errors reach the caller; without this TensorFlow tells of every load on standard error. It reads the real environment.
  const setenv = libc.func("setenv", "int", ["str", "str", "int"]) as unknown as Call<[string, string, number], number>;
  setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
  // koffi unloads libraries when the process ends, and TensorFlow's threads crash it then. This reference is never given back.
  const dlopen = libc.func("dlopen", ADDRESS, ["str", "int"]) as unknown as Call<[string, number], Address>;
  for (const path of paths) if (dlopen(path, PINNED) === 0) throw new Error("dlopen refused it");
  const [framework, main] = paths.map((path) => koffi.load(path)) as [LibraryHandle, LibraryHandle];
  const memory = (address: Address, bytes: number): ArrayBuffer =>
    bytes === 0 ? new ArrayBuffer(0) : koffi.view(BigInt(address), bytes);
  return { ...declare(framework, main), memory };
}

async function importKoffi(): Promise<Koffi> {
  try {
    return await import("koffi");
  } catch (cause) {
    throw engineError(
      "ENGINE_MISSING",
      "TensorFlow's library cannot be called",
      "the optional package koffi has no build for this system",
      "use the engine onnx",
      cause,
    );
  }
}
