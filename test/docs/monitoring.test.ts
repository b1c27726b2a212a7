import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../../tools/build.ts';
import { dashboardFile, dashboardText } from '../../tools/dashboard.ts';

const folder = join(root, 'docs/monitoring');
const promtool = (...words: string[]) => execFileSync('promtool', words, { cwd: folder, encoding: 'utf8' });

t.test('promtool accepts the configuration and the rules', async (t) => {
  t.match(promtool('check', 'config', '--syntax-only', 'prometheus.yml'), /SUCCESS/);
  t.match(promtool('check', 'rules', 'rules.yml'), /SUCCESS/);
});

t.test('every alert fires when it should, and stays silent when it should', async (t) => {
  t.match(promtool('test', 'rules', 'rules.test.yml'), /SUCCESS/);
  const rules = await readFile(join(folder, 'rules.yml'), 'utf8');
  const tests = await readFile(join(folder, 'rules.test.yml'), 'utf8');
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name as string);
  t.ok(alerts.length >= 10);
  for (const name of alerts) {
    const cases = tests.split(`alertname: ${name}`).length - 1;
    t.equal(cases, 2, `${name} has a case in which it fires and one in which it does not`);
    t.match(tests, new RegExp(`alertname: ${name}, exp_alerts: \\[\\]`), `${name} stays silent`);
  }
});

t.test('rules and dashboard name only metrics that there are', async (t) => {
  const documented = await Promise.all(
    ['operate.md', 'guard.md', 'core.md'].map((page) => readFile(join(root, 'docs', page), 'utf8')),
  );
  const texts = [await readFile(join(folder, 'rules.yml'), 'utf8'), await readFile(dashboardFile, 'utf8')];
  const names = new Set(texts.join('\n').match(/\b(?:countersign|process|nodejs|gen_ai_client)_\w+/g));
  t.ok(names.size > 10);
  for (const name of names) {
    const base = name.replace(/_(?:bucket|count)$/, '');
    const suffix = base.replace('countersign_guard', '');
    t.ok(
      documented.some((page) => page.includes(`\`${base}`) || page.includes(`\`${suffix}`)),
      `${name} is in docs/`,
    );
  }
});

t.test('the dashboard is what tools/dashboard.ts makes', async (t) => {
  t.equal(await readFile(dashboardFile, 'utf8'), dashboardText());
});
