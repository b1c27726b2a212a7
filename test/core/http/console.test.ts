import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import t from 'tap';
import { accessibilityFaults, browser, openTab, overflowOf } from '../../support/browser.ts';
import { startTestCore } from '../../support/core-service.ts';
import { answerWith, lastText, type ModelCall } from '../../support/model-server.ts';

const files = ['', 'console.js', 'console.css', 'icon.svg'];
/** Longer than any of these tests takes. */
const longTurns = {
  timeouts: {
    hang_up: 60_000,
    turn: 120_000,
    idle: 60_000,
    response: 60_000,
    database: 60_000,
    slow_read: 60_000,
  },
};

t.teardown(async () => (await browser()).close());

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

t.test('the page may run and load its own files, and nothing else', async (t) => {
  const core = await startTestCore(t);
  let bytes = 0;
  for (const file of files) {
    const response = await core.fetch(`/console/${file}`);
    const body = await response.text();
    t.equal(response.status, 200, file);
    const policy = response.headers.get('content-security-policy') ?? '';
    t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/);
    t.notMatch(policy, /unsafe|data:|https?:|\*/);
    t.equal(response.headers.get('x-content-type-options'), 'nosniff');
    if (file === '') t.notMatch(body, /<script(?![^>]* src=)|<style|\son\w+=|style=|https?:/);
    bytes += gzipSync(body).length;
  }
  t.ok(bytes <= 200_000, `${bytes} bytes compressed`);
  const bare = await core.fetch('/console', { redirect: 'manual' });
  t.equal(new URL(bare.headers.get('location') ?? '', `${core.url}/console`).pathname, '/console/');
});

t.test(
  'a chat streams, is stopped, found again, and shows what its window left out',
  { timeout: 120_000 },
  async (t) => {
    const core = await startTestCore(t, longTurns);
    const { page, faults } = await openTab(t, { colorScheme: 'light' });
    await page.goto(`${core.url}/console/`);
    await page.getByText('There are no sessions yet.').waitFor();
    await page.getByRole('option', { name: 'llama-3.2-3b-instruct' }).waitFor({ state: 'attached' });
    await page.getByLabel('Model').selectOption('llama-3.2-3b-instruct');
    t.strictSame(await accessibilityFaults(page), [], 'empty');

    let call: ModelCall | undefined;
    core.model.behaviour = (next) => {
      call = next;
      next.chunk({ role: 'assistant', content: 'Gingerbread ' });
    };
    await say(page, 'What do we bake?');
    await page.locator('.running', { hasText: 'Gingerbread' }).waitFor();
    t.equal(call?.body.model, 'llama-3.2-3b-instruct');
    call?.chunk({ content: 'and stollen' });
    await page.locator('.running', { hasText: 'Gingerbread and stollen' }).waitFor();
    t.equal(await page.locator('.window').count(), 0, 'while it streams');
    call?.finish();
    await page.getByText('Kept 1 of 1 message').first().waitFor();

    await say(page, 'And then?');
    await page.locator('.running', { hasText: 'Gingerbread' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('interrupted').waitFor();

    core.model.behaviour = (next) => answerWith(next, 'Good.');
    for (let turn = 0; turn < 3; turn++) {
      await say(page, `${turn} ${'many words of a recipe '.repeat(160)}`);
      await page
        .locator('.window')
        .nth(turn + 2)
        .waitFor();
    }
    const last = page.locator('.window').last();
    t.match(
      await last.locator('figcaption').textContent(),
      /Kept \d of 9 messages: .*Left out \d messages?: /,
    );
    const widthOf = (kind: string) =>
      last
        .locator(`.${kind} i`)
        .evaluateAll((pieces) => pieces.reduce((sum, piece) => sum + piece.getBoundingClientRect().width, 0));
    t.ok((await widthOf('kept')) > 20 && (await widthOf('left-out')) > 20, 'both bars have tokens');

    await page.goto(`${core.url}/console/`);
    await page.getByRole('link', { name: /What do we bake\?/ }).waitFor();
    await page.getByLabel('Search all messages').fill('stollen');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: /assistant: .*stollen/ }).press('Enter');
    await page.locator('#message-2[aria-current]', { hasText: 'Gingerbread and stollen' }).waitFor();
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      t.strictSame(await accessibilityFaults(page), [], colorScheme);
    }
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      t.ok((await overflowOf(page)) <= 0, `fits ${width} px`);
    }
    t.strictSame(faults, []);
  },
);

t.test('what models and users say is shown, never run', { timeout: 60_000 }, async (t) => {
  const core = await startTestCore(t, longTurns);
  const hostile = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>\u202egnp.exe';
  core.model.behaviour = (call) => answerWith(call, `${lastText(call)} </ol><h1>ran</h1>`);
  await core.say('hostile', hostile);
  await core.fetch('/api/chats/hostile', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: hostile }),
  });
  const { page, faults } = await openTab(t);
  await page.goto(`${core.url}/console/`);
  await page.getByRole('link', { name: /onerror/ }).click();
  await page.locator('#message-2').waitFor();
  await page.getByLabel('Search all messages').fill('onerror');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: /assistant: / }).waitFor();
  const shown = (await page.locator('body').textContent()) ?? '';
  t.match(shown, '<script>window.ran=1</script>\\u{202e}gnp.exe', 'as it was said');
  t.notMatch(shown, /\u202e/);
  t.equal(await page.evaluate('window.ran'), undefined);
  t.equal(await page.locator('#console img, #console script').count(), 0);
  t.strictSame(faults, []);
});

t.test('shows the sessions of its caller alone', async (t) => {
  const core = await startTestCore(t, longTurns);
  const alice = { 'x-service-id': 'frontend', 'x-end-user': 'alice' };
  await core.say('a', 'Hello from Alice', alice);
  await core.say('b', 'Hello from Bob', { ...alice, 'x-end-user': 'bob' });
  const { page } = await openTab(t, { extraHTTPHeaders: alice });
  await page.goto(`${core.url}/console/`);
  await page.getByRole('link', { name: /from Alice/ }).waitFor();
  t.equal(await page.getByRole('link', { name: /from Bob/ }).count(), 0);
});
