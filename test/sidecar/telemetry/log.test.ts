import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const module = fileURLToPath(new URL('../../../sidecar/telemetry/log.ts', import.meta.url));

/** Runs a script with a log of its own, as a process. */
function run(script: string) {
  const source = `import { openLog } from ${JSON.stringify(module)};
    const { logger, end } = openLog({ service: 'npu-worker', phase: 'logging', version: '1.2.3' });
    ${script}`;
  return spawn(process.execPath, ['--input-type=module-typescript', '-e', source], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

t.test('writes JSON lines that name service, phase and version, all of them before the exit', async (t) => {
  const child = run(
    "for (let i = 0; i < 2000; i++) logger.info({ event: 'e', i }, 'a line'); await end(); process.exit(3);",
  );
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  t.equal(code, 3);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.equal(lines.length, 2000);
  t.match(lines.at(-1), {
    level: 'info',
    service: 'npu-worker',
    phase: 'logging',
    version: '1.2.3',
    event: 'e',
    i: 1999,
    msg: 'a line',
    time: /^\d{4}-\d\d-\d\dT.*Z$/,
  });
});

t.test('a reader that goes away does not end the process', async (t) => {
  const child = run(
    "process.stdin.once('data', () => { for (let i = 0; i < 100; i++) logger.info('x'.repeat(10000));" +
      ' setImmediate(async () => { await end(); process.exit(7); }); });',
  );
  child.stdout.destroy();
  child.stdin.write('go');
  const [code] = await once(child, 'close');
  t.equal(code, 7);
});

t.test('an end that nobody reads any more comes all the same', async (t) => {
  const child = run(
    "process.stdin.once('data', async () => { logger.info('last'); await end(); process.exit(8); });",
  );
  child.stdout.destroy();
  await once(child.stdout, 'close');
  child.stdin.write('go');
  const [code] = await once(child, 'close');
  t.equal(code, 8);
});

t.test('fields that hold secrets do not come out', async (t) => {
  const child = run(
    "logger.info({ key: 'k-secret', pair: { key: 'p-secret' }, password: 'pw-secret' }); await end();",
  );
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'close');
  t.match(text, /\[secret\]/);
  t.notMatch(text, /k-secret|p-secret|pw-secret/);
});
