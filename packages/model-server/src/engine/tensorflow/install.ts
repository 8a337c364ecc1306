import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { download, type DownloadOptions } from "@cloister/saved-model/rim";
import { engineError } from "../failure.ts";
import { LIBRARY_FILES } from "./c-api.ts";
import { hasLibrary, installFolder } from "./find-library.ts";
import { type LibraryBuild, TENSORFLOW_RELEASE } from "./release.ts";
import { extract } from "./unzip.ts";

export interface InstallOptions extends Pick<DownloadOptions, "onProgress" | "signal" | "allowHttp"> {
  /** Where the library goes; default: the user's folder, where `findLibrary` looks. */
  readonly folder?: string;
  /** Which build; default: the one for this system. */
  readonly build?: LibraryBuild;
  /** The download is there and is being unpacked. */
  readonly onUnpack?: () => void;
}

export interface Installed {
  readonly folder: string;
  readonly version: string;
  /** It was there already; nothing was fetched. */
  readonly wasThere: boolean;
}

/**
 * Fetches TensorFlow's C library, checks its pinned digest, unpacks it. An interrupted download goes on where it stopped; the
 * folder appears only when it is whole.
 *
 * @throws EngineError ENGINE_MISSING where there is no build for this system, INSTALL_FAILED; SavedModelError as `download`
 */
export async function installTensorFlow(options: InstallOptions = {}): Promise<Installed> {
  const { folder = installFolder(), onUnpack, onProgress, signal, allowHttp } = options;
  const { version } = TENSORFLOW_RELEASE;
  if (await hasLibrary(folder)) return { folder, version, wasThere: true };
  const build = options.build ?? buildForThisSystem();
  const archive = `${folder}.jar`;
  await download({
    url: build.url,
    path: archive,
    digest: { sha256: build.sha256 },
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
    ...(allowHttp !== undefined && { allowHttp }),
  });
  onUnpack?.();
  try {
    await unpack(archive, build, folder);
  } catch (cause) {
    const why = "the disk is full (it needs 1 GiB), or the archive is not what it should be";
    throw engineError("INSTALL_FAILED", "TensorFlow's library cannot be unpacked", why, "run the command again", cause);
  }
  return { folder, version, wasThere: false };
}

async function unpack(archive: string, build: LibraryBuild, folder: string): Promise<void> {
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  await extract(archive, new Map(LIBRARY_FILES.map((file) => [`${build.folder}/${file}`, join(fresh, file)])));
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
  await rm(archive);
}

function buildForThisSystem(): LibraryBuild {
  const system = `${process.platform}-${process.arch}`;
  const build = TENSORFLOW_RELEASE.builds[system];
  if (build) return build;
  throw engineError(
    "ENGINE_MISSING",
    `there is no build of TensorFlow for ${system}`,
    `builds are known for ${Object.keys(TENSORFLOW_RELEASE.builds).join(", ")}`,
    "use the engine onnx, or set CLOISTER_TENSORFLOW to the folder of your own build",
  );
}
