import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stop } from 'esbuild';
import { FleetWatch } from '../../sidecar/console/fleet-watch.ts';
import { type PageFile, startConsole } from '../../sidecar/console/server.ts';
import type { Sources } from '../../sidecar/console/sources.ts';
import { root } from '../../tools/build.ts';
import { bundlePage } from '../../tools/bundle.ts';
import { consolePage } from '../../tools/programs.ts';

let bundled: Promise<Map<string, PageFile>> | undefined;

/** The page as the build makes it. */
export function consoleFiles(): Promise<Map<string, PageFile>> {
  bundled ??= bundleFiles();
  return bundled;
}

async function bundleFiles(): Promise<Map<string, PageFile>> {
  const { script, styles } = await bundlePage(root, consolePage.entry).finally(stop);
  const web = (path: string) => readFile(join(root, path), 'utf8');
  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: await web('sidecar/console/web/index.html') }],
    ['/icon.svg', { type: 'image/svg+xml', body: await web('web/icon.svg') }],
    ['/console.js', { type: 'text/javascript; charset=utf-8', body: Buffer.from(script).toString() }],
    ['/console.css', { type: 'text/css; charset=utf-8', body: Buffer.from(styles).toString() }],
  ]);
}

export interface TestConsole {
  readonly url: string;
  /** With the token. */
  readonly link: string;
  readonly token: string;
  readonly watch: FleetWatch;
}

export const testToken = 'test-token-of-the-console-0123456789abcdef';
export const testMetricsToken = 'test-token-for-metrics-0123456789abcdef';

/** The console in this process, with a page as it is built. */
export async function testConsole(
  t: { teardown(done: () => unknown): void },
  sources: Sources,
  everyMs = 2_000,
): Promise<TestConsole> {
  const watch = new FleetWatch({
    sources,
    everyMs,
    onError: (error) => {
      throw error;
    },
  });
  const server = await startConsole({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: { console: testToken, metrics: testMetricsToken },
    page: await consoleFiles(),
    watch,
    sources,
  });
  t.teardown(async () => {
    await watch.close();
    await server.close();
  });
  const url = `http://${server.address}`;
  return { url, link: `${url}/#token=${testToken}`, token: testToken, watch };
}
