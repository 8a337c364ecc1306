/** Host and port of `host:port`, `[v6]:port`; `undefined` where the text is neither. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match =
    /^(?:\[(?<v6>[0-9A-Fa-f:.]{2,45})\]|(?<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)):(?<port>\d{1,5})$/.exec(
      text,
    );
  const port = Number(match?.groups?.["port"]);
  const host = match?.groups?.["v6"] ?? match?.groups?.["name"];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** The text of a host and port, with brackets around an IPv6 address. */
export function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
