/** Where things are in our image and in a pod. */
export const PROGRAM_FOLDER = "/opt/cloister";
export const NODE_EXECUTABLE = "/usr/local/bin/node";
export const CONFIG_FOLDER = "/etc/cloister";
export const MODELS_FOLDER = "/models";

export const SERVING_PORT = 8500;
/** Liveness, readiness and counters, in plaintext: nothing secret is there. */
export const HEALTH_PORT = 8502;

/** The user of our images. */
export const USER_ID = 65_532;
