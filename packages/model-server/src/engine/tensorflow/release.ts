/** A published build of TensorFlow's C library for one system. */
export interface LibraryBuild {
  readonly url: string;
  /** SHA-256 of the jar in hex. */
  readonly sha256: string;
  /** The folder in it that holds the library. */
  readonly folder: string;
}

const VERSION = "1.2.0";
const BASE = `https://repo1.maven.org/maven2/org/tensorflow/tensorflow-core-native/${VERSION}`;

/**
 * TensorFlow 2.21.0 as the TensorFlow project publishes it for Java (org.tensorflow:tensorflow-core-native). The digests were
 * taken from the repository when this release was chosen; its libraries are those of the Python wheel.
 */
export const TENSORFLOW_RELEASE = {
  version: "2.21.0",
  builds: {
    "linux-x64": {
      url: `${BASE}/tensorflow-core-native-${VERSION}-linux-x86_64.jar`,
      sha256: "e6fc5afb04092f3427408f1947ec1e5832ed196009acfc088b4d38a516b708bd",
      folder: "org/tensorflow/internal/c_api/linux-x86_64",
    },
    "linux-arm64": {
      url: `${BASE}/tensorflow-core-native-${VERSION}-linux-arm64.jar`,
      sha256: "5f35ca75d4d735fc3e66af29d4e2a4191fbc98d0a2f7411e70b3174a20ba3d49",
      folder: "org/tensorflow/internal/c_api/linux-arm64",
    },
  } as Readonly<Record<string, LibraryBuild>>,
};
