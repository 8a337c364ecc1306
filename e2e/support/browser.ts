import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectBrowserModules } from "@cloister/dashboard/modules";
import { chromium, type Page } from "playwright-core";

/** Debian's package. */
const EXECUTABLE = "/usr/bin/chromium";

export interface BrowserPage {
  readonly page: Page;
  close(): Promise<void>;
}

/** A page in Chromium, on an origin of its own on loopback, that can import those modules. Rejects where there is no Chromium. */
export async function openPage(entries: readonly string[]): Promise<BrowserPage> {
  const { importMap, texts } = await collectBrowserModules(entries, import.meta.url);
  const html = `<!doctype html><title>test</title><script type="importmap">${JSON.stringify(importMap)}</script>`;
  const server = createServer((request, response) => {
    const text = texts.get(request.url ?? "");
    if (text !== undefined) response.writeHead(200, { "content-type": "text/javascript" }).end(text);
    else if (request.url === "/") response.writeHead(200, { "content-type": "text/html" }).end(html);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const profile = await mkdtemp(join(tmpdir(), "cloister-chromium-"));
  const closeServer = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
      // Test servers have certificates of an authority that no browser knows. What a page promises must not rest on them anyway.
      ignoreHTTPSErrors: true,
      timeout: 120_000,
    });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return {
      page,
      close: async () => {
        await context.close();
        await closeServer();
        await rm(profile, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await closeServer();
    await rm(profile, { recursive: true, force: true });
    throw error;
  }
}
