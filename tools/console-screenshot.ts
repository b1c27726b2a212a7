import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';
import { testConsole } from '../test/support/console-server.ts';
import { demoFleet } from '../test/support/demo-fleet.ts';
import { root } from './build.ts';

/** How long the traffic goes on before the picture is taken, so that the chart has something to show. */
const readings = 40;

/**
 * Takes the picture of the console that README.md shows, or of any page:
 * `node tools/console-screenshot.ts [FILE [PAGE [light|dark [WIDTH [HEIGHT]]]]]`.
 */
async function main([
  file = 'docs/console.png',
  page = 'fleet',
  scheme = 'light',
  width = '1280',
  height = '800',
]: string[]) {
  const closing: (() => unknown)[] = [];
  const fleet = await demoFleet({ teardown: (done) => closing.push(done) }, { silent: ['redis-stack'] });
  const server = await testConsole({ teardown: (done) => closing.unshift(done) }, passing(fleet), 100);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage({
      colorScheme: scheme === 'dark' ? 'dark' : 'light',
      viewport: { width: Number(width), height: Number(height) },
    });
    tab.on('console', (message) => console.error(message.text()));
    tab.on('pageerror', (error) => console.error(error.stack));
    await tab.goto(server.link);
    await tab.locator('.connection.live').waitFor();
    if (page !== 'fleet') await tab.goto(`${server.url}/#/${page}`);
    await new Promise<void>((resolve) => {
      let left = readings;
      server.watch.follow(() => --left === 0 && resolve());
    });
    const picture = await tab.screenshot({ fullPage: process.argv.includes('--full') });
    await writeFile(resolve(root, file), picture);
  } finally {
    await browser.close();
    for (const close of closing) await close();
  }
}

/** Two seconds of traffic between two readings. */
function passing(fleet: Awaited<ReturnType<typeof demoFleet>>): typeof fleet {
  return {
    ...fleet,
    readHosts: (signal) => {
      fleet.pass(0.1);
      return fleet.readHosts(signal);
    },
  };
}

await main(process.argv.slice(2).filter((word) => !word.startsWith('--')));
