import { readFile } from 'node:fs/promises';
import t from 'tap';
import { renderMetrics } from '../../../sidecar/telemetry/metrics.ts';
import { Telemetry } from '../../../sidecar/telemetry/telemetry.ts';
import { handshakeResults } from '../../../sidecar/terms/handshake.ts';
import { reasons } from '../../../sidecar/terms/reasons.ts';
import { memoryLogger } from '../../support/log-lines.ts';

const page = await readFile(new URL('../../../docs/operate.md', import.meta.url), 'utf8');

/** The cells of the table rows whose first cell is code. */
function rows(heading: string): string[][] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

t.test('the page tells every reason as the code has it, in the same order', async (t) => {
  t.same(
    rows('Reasons').map(([reason, status, stage, title]) => [reason, status, stage, title]),
    Object.entries(reasons).map(([reason, { status, stage, title }]) => [
      `\`${reason}\``,
      String(status),
      stage,
      title,
    ]),
  );
  for (const [reason, , , , advice] of rows('Reasons')) t.ok(advice, `${reason} says what to do`);
});

t.test('the page tells every result of a handshake', async (t) => {
  t.same(
    rows('Handshakes between sidecars').map(([result]) => result),
    handshakeResults.map((result) => `\`${result}\``),
  );
});

t.test('the page tells every metric that there is', async (t) => {
  const telemetry = new Telemetry({ service: 'npu-worker', peers: [], logger: memoryLogger().logger });
  t.teardown(() => telemetry.close());
  const text = await renderMetrics(telemetry.snapshot(), { phase: 'logging', version: '1' });
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => `\`${name}\``);
  t.same(
    rows('Metrics')
      .map(([name]) => name)
      .sort(),
    names.sort(),
  );
});
