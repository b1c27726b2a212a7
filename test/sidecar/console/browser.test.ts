import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import t from 'tap';
import { accessibilityFaults, browser, openTab, overflowOf } from '../../support/browser.ts';
import { callRecord, strangerRecord } from '../../support/call-record.ts';
import { testConsole } from '../../support/console-server.ts';
import { demoFleet } from '../../support/demo-fleet.ts';
import { largeFleet } from '../../support/large-console-fleet.ts';

/** Of fast updates; two minutes with CONSOLE_UPDATES_SECONDS=120 node test/sidecar/console/browser.test.ts */
const updatesSeconds = Number(process.env.CONSOLE_UPDATES_SECONDS ?? 4);

const places = ['fleet', 'graph', 'matrix', 'denials', 'readiness', 'keys', 'rollout'];

t.teardown(async () => (await browser()).close());

/** Goes to a page and waits for what it is made of. */
async function visit(page: Page, url: string, place: string): Promise<void> {
  await page.goto(`${url}/#/${place}`);
  await page.locator('.connection.live').waitFor();
  await page.locator('main h1').waitFor();
}

t.test(
  'every page works, light and dark, narrow and wide, and meets WCAG AA',
  { timeout: 120_000 },
  async (t) => {
    const fleet = await demoFleet(t, { silent: ['redis-stack'], phases: { 'ai-stack': 'enforcing' } });
    const { url, link } = await testConsole(t, fleet);
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, faults } = await openTab(t, { colorScheme });
      await page.goto(link);
      const id = (await fleet.readHosts(AbortSignal.timeout(9_000)))[2]?.denials?.denials[0]?.request_id;
      for (const place of [
        ...places,
        'graph?edge=frontend+npu-worker',
        'matrix?cell=main-backend+npu-worker',
        `denials?id=${id}`,
      ]) {
        await visit(page, url, place);
        for (const width of [360, 1440]) {
          await page.setViewportSize({ width, height: 800 });
          t.ok((await overflowOf(page)) <= 0, `${place} fits ${width} px`);
        }
        t.strictSame(await accessibilityFaults(page), [], `${place}, ${colorScheme}`);
      }
      t.strictSame(faults, [], `no error on any page, ${colorScheme}`);
    }
  },
);

t.test('the first paint comes within 300 ms', async (t) => {
  const { link } = await testConsole(t, await demoFleet(t));
  const { page } = await openTab(t);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    await page.goto(link);
    await page.reload();
    await page.locator('.connection.live').waitFor();
    times.push(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"));
  }
  // The best of five: this machine does other things, too.
  t.ok(Math.min(...times) < 300, `${times.map(Math.round).join(', ')} ms`);
});

t.test('without the token there is nothing to see; the link, pasted or opened, shows all', async (t) => {
  const { url, link, token } = await testConsole(t, await demoFleet(t));
  const { page, faults } = await openTab(t);
  await page.goto(url);
  await page.getByRole('heading', { name: 'Open the link that was printed' }).waitFor();
  t.strictSame(await accessibilityFaults(page), []);
  await page.getByLabel('Link or token').fill(`${url}/#token=of-an-earlier-run`);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('heading', { name: 'Open the link that was printed' }).waitFor();
  await page.getByLabel('Link or token').fill(link);
  await page.keyboard.press('Enter');
  await page.locator('h1.sentence').waitFor();
  t.match(
    await page.locator('h1').textContent(),
    /^All 6 hosts are logging; ready to enforce in 3 h 1\d min; \d things? (is|are) in the way\.$/,
  );
  const other = await openTab(t);
  await other.page.goto(link);
  await other.page.locator('h1.sentence').waitFor();
  t.notMatch(other.page.url(), token, 'the token leaves the address');
  t.equal(await other.page.evaluate('document.cookie'), '', 'and is no cookie');
  // 401 of the earlier token is told in the browser's console.
  t.strictSame(
    faults.filter((fault) => !/401/.test(fault)),
    [],
  );
});

t.test('works by keyboard', async (t) => {
  const { url, link } = await testConsole(t, await demoFleet(t));
  const { page, faults } = await openTab(t);
  await page.goto(link);
  await page.locator('h1.sentence').waitFor();
  await page.keyboard.press('Tab');
  t.equal(await page.evaluate('document.activeElement.className'), 'skip');
  await page.keyboard.press('Enter');
  t.equal(await page.evaluate('document.activeElement.id'), 'main');
  await visit(page, url, 'graph');
  await page.getByRole('button', { name: /^frontend to npu-worker, not-permitted/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'frontend to npu-worker' }).waitFor();
  await visit(page, url, 'denials');
  await page.locator('td.time a').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.getByText('nearest:').first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await visit(page, url, 'matrix');
  await page.getByLabel('Caller', { exact: true }).fill('main-backend');
  await page.getByLabel('Callee', { exact: true }).fill('npu-worker');
  await page.getByLabel('Path', { exact: true }).fill('/api/status/7');
  await page.keyboard.press('Enter');
  await page.getByText('Allowed by main-backend: GET /api/status/*').waitFor();
  t.strictSame(faults, []);
});

t.test('texts from the network are shown, never run, and break nothing', { timeout: 60_000 }, async (t) => {
  const fleet = await demoFleet(t);
  const texts = [
    '<script>window.ran=1</script>',
    '"><img src=x onerror="window.ran=1">',
    "'-alert(1)-'",
    'data:text/html,<script>alert(1)</script>',
    '\u202egnp.exe\u2066\u200b\u0007\x1b[31m',
    '</bdi></table><h1>Ready to enforce</h1>',
    'long'.repeat(2_000),
    '{{constructor.constructor("window.ran=1")()}}',
  ];
  for (const [index, text] of texts.entries()) {
    const hostile = {
      requestId: `hostile-${index}`,
      claimed: text,
      method: text,
      path: `/${text}`,
      verdict: {
        allowed: false as const,
        claimed: text,
        denial: {
          reason: 'missing-signature' as const,
          detail: text,
          rule: text,
          expected: text,
          received: text,
        },
      },
    };
    fleet.record('npu-worker', strangerRecord(hostile));
    fleet.record(
      'npu-worker',
      callRecord({
        method: 'GET',
        path: `/${text}`,
        verdict: {
          allowed: false,
          caller: 'main-backend',
          denial: { reason: 'not-authorized', detail: text },
        },
      }),
    );
  }
  const problem = texts.join(' ');
  const { url, link } = await testConsole(t, {
    ...fleet,
    readHosts: async (signal) => [...(await fleet.readHosts(signal)), { from: problem, problem }],
  });
  const { page, faults } = await openTab(t);
  await page.goto(link);
  for (const place of [
    ...places,
    'graph?edge=unknown+npu-worker',
    'matrix?cell=main-backend+npu-worker',
    ...texts.map((_, index) => `denials?id=hostile-${index}`),
  ]) {
    await visit(page, url, place);
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      t.ok((await overflowOf(page)) <= 0, `${place} fits ${width} px`);
    }
  }
  await visit(page, url, 'denials?id=hostile-4');
  const drawer = page.getByRole('dialog');
  await drawer.getByText('gnp.exe').first().waitFor();
  t.match(await drawer.textContent(), '\\u{202e}gnp.exe', 'what turns the direction is written out');
  await visit(page, url, `denials?text=${encodeURIComponent('<img src=x onerror=window.ran=1>')}`);
  t.equal(await page.evaluate('window.ran'), undefined);
  t.equal(await page.locator('main img, main script').count(), 0);
  await visit(page, url, 'denials');
  const shown = (await page.locator('main').textContent()) ?? '';
  t.match(shown, '<script>window.ran=1</script>', 'as it was sent');
  t.notMatch(shown, /[\u202a-\u202e\u2066-\u2069\u200b]|\p{Cc}/u);
  t.strictSame(faults, []);
});

t.test('1,000 services with 50 rules each stay usable', { timeout: 120_000 }, async (t) => {
  const { url, link } = await testConsole(t, largeFleet(1_000, 50));
  const { page, faults } = await openTab(t);
  await page.goto(link);
  await page.locator('h1.sentence').waitFor();
  for (const place of places) {
    const startedAt = performance.now();
    await visit(page, url, place);
    const ms = performance.now() - startedAt;
    const elements = (await page.evaluate("document.querySelectorAll('*').length")) as number;
    t.ok(elements < 15_000, `${place} has ${elements} elements after ${Math.round(ms)} ms`);
    t.ok(ms < 20_000);
  }
  await visit(page, url, 'graph?service=service-0007');
  await page.getByRole('heading', { name: 'Around service-0007' }).waitFor();
  await visit(page, url, 'fleet');
  await page.getByPlaceholder('Service or host').fill('service-0999');
  await page.getByRole('rowheader', { name: 'service-0999' }).waitFor();
  t.equal(await page.locator('tbody tr').count(), 1);
  t.strictSame(faults, []);
});

t.test(
  `${updatesSeconds} seconds of fast updates leave nothing behind`,
  { timeout: (updatesSeconds + 60) * 1000 },
  async (t) => {
    const fleet = await demoFleet(t);
    const sources: typeof fleet = {
      ...fleet,
      readHosts(signal) {
        fleet.pass(0.5);
        return fleet.readHosts(signal);
      },
    };
    const { link, watch } = await testConsole(t, sources, 20);
    const { page, faults } = await openTab(t);
    await page.goto(link);
    await page.locator('h1.sentence').waitFor();
    const devtools = await page.context().newCDPSession(page);
    const measured = async () => {
      await devtools.send('HeapProfiler.collectGarbage');
      const { usedSize } = await devtools.send('Runtime.getHeapUsage');
      const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters');
      return { megabytes: usedSize / 1e6, nodes, jsEventListeners };
    };
    const readings = async (count: number) => {
      let left = count;
      await new Promise<void>((resolve) => {
        const end = watch.follow(() => {
          if (--left > 0) return;
          resolve();
          setImmediate(() => end());
        });
      });
    };
    // The chart and the ring of denials fill first.
    await readings(20);
    const before = await measured();
    let updates = 0;
    const end = watch.follow(() => updates++);
    await delay(updatesSeconds * 1000);
    end();
    const after = await measured();
    t.ok(updates > updatesSeconds, `${updates} updates`);
    t.ok(after.megabytes < before.megabytes + 4, `${before.megabytes} MB, then ${after.megabytes}`);
    t.ok(after.nodes < before.nodes * 1.5 + 200, `${before.nodes} nodes, then ${after.nodes}`);
    t.ok(after.jsEventListeners < before.jsEventListeners + 50);
    t.strictSame(faults, []);
  },
);
