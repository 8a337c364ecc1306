import { configOf, IMAGE_PATHS, IMAGE_USER, type ImageRole } from "./roles.ts";

/**
 * A Dockerfile for a role, for those who build with Docker on a base of their own. `BASE_IMAGE` has no default: name it by digest; it
 * brings glibc and libstdc++. What goes in was laid out beside it by `enclave image stage`, so a build needs no network, no proxy and no
 * package mirror, and no stage of it can hold more than the allow-list.
 */
export function renderDockerfile(role: ImageRole): string {
  const { entrypoint, labels = {} } = configOf(role);
  return `# Written by: cloister enclave image render
# First: cloister enclave image stage --base --role ${role} --output ${role}
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
COPY ${role}/ /
${Object.entries(labels)
  .map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}`)
  .join("\n")}
WORKDIR ${IMAGE_PATHS.work}
USER ${IMAGE_USER}
ENTRYPOINT ${JSON.stringify(entrypoint)}
`;
}

/** Nothing but the staged folders is sent to Docker's daemon. */
export function renderDockerignore(folders: readonly string[]): string {
  return `# Written by: cloister enclave image render\n*\n${folders.map((folder) => `!${folder}\n`).join("")}`;
}
