import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { build, dist } from '../../tools/build.ts';
import { runCountersign } from '../support/run-countersign.ts';
import { freePorts } from '../support/sidecar-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import {
  changed,
  type Files,
  fixedPorts,
  goodFiles,
  rightFiles,
  wrongFiles,
} from '../support/wrong-files.ts';

t.before(() => build(['countersign', 'countersign-enforcing']));

async function folderWith(t: Test, files: Files): Promise<string> {
  const folder = await tempFolder(t);
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files))
    await writeFile(join(folder, name), text, { mode: 0o600 });
  return folder;
}

/** Starts the binary until it is ready or ends; a ready one is stopped. */
function start(file: string): Promise<{ code: number | null; stderr: string; ready: boolean }> {
  const child = spawn(join(dist, 'countersign-enforcing'), ['--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  let stderr = '';
  let ready = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    if ((JSON.parse(line) as { event?: string }).event !== 'ready') return;
    ready = true;
    child.kill('SIGTERM');
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr, ready })));
}

for (const wrong of wrongFiles) {
  t.test(`check and start say the same of ${wrong.title}`, async (t) => {
    const folder = await folderWith(t, changed(goodFiles(fixedPorts), wrong));
    const file = join(folder, 'sidecar.yaml');
    const [checked, started] = await Promise.all([runCountersign(['check', '--config', file]), start(file)]);
    t.match(checked, { code: 78, stdout: '' });
    t.equal(started.code, 78);
    t.match(checked.stderr, wrong.says);
    t.equal(started.stderr, checked.stderr);
    for (const line of checked.stderr.trimEnd().split('\n')) {
      t.match(line, /^\S+: .*found .+, expected .+$/, 'every line says what was found and expected');
      t.notMatch(
        line,
        /Invalid input|Too (?:small|big)|received|Unrecognized|\bundefined\b|\[object/,
        'our own words',
      );
    }
  });
}

for (const right of rightFiles) {
  t.test(`what check accepts starts: ${right.title}`, async (t) => {
    const [outbound, inbound, admin, app, route] = (await freePorts(5)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const folder = await folderWith(t, changed(goodFiles({ outbound, inbound, admin, app, route }), right));
    const file = join(folder, 'sidecar.yaml');
    t.match(await runCountersign(['check', '--config', file]), { code: 0, stdout: 'ok\n', stderr: '' });
    t.match(await start(file), { code: 0, ready: true, stderr: '' });
  });
}

t.test('a service that only calls others has a sidecar without inbound', async (t) => {
  const [outbound, inbound, admin, app, route] = (await freePorts(5)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const files = goodFiles({ outbound, inbound, admin, app, route });
  const folder = await folderWith(t, {
    ...files,
    'sidecar.yaml': (files['sidecar.yaml'] as string)
      .replace(/inbound: .*\n/, '')
      .replace('npu-worker', 'control'),
    'keyring.json': JSON.stringify({ service: 'control', host: '127.0.0.3', outbound: {}, inbound: {} }),
  });
  const file = join(folder, 'sidecar.yaml');
  t.match(await runCountersign(['check', '--config', file]), { code: 0, stdout: 'ok\n', stderr: '' });
  t.match(await start(file), { code: 0, ready: true, stderr: '' });
});
