import { rm, stat } from "node:fs/promises";
import { connect } from "node:net";

/** Removes a Unix socket that a server which is gone left behind. One that is in use stays, and listening fails on it. */
export async function removeStaleSocket(path: string): Promise<void> {
  const isSocket = (await stat(path).catch(() => undefined))?.isSocket() === true;
  if (isSocket && !(await isInUse(path))) await rm(path, { force: true });
}

function isInUse(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
