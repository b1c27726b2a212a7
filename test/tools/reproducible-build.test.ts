import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { build, root, sources } from '../../tools/build.ts';
import { stripElf } from '../../tools/strip-elf.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

t.test('two builds of one checkout in two folders give the same bytes and the same hash', async (t) => {
  const name = 'countersign-enforcing';
  const other = join(await tempFolder(t), 'another folder, with a longer name');
  await mkdir(other);
  for (const part of sources) await cp(join(root, part), join(other, part), { recursive: true });
  await symlink(join(root, 'node_modules'), join(other, 'node_modules'));
  const [here] = await build([name]);
  await run(process.execPath, ['tools/build.ts', name], { cwd: other });
  const there = JSON.parse(await readFile(join(other, `dist/bundles/${name}.build.json`), 'utf8'));
  t.equal(there.hash, here?.hash);
  t.equal(await sha256(join(other, 'dist', name)), await sha256(join(root, 'dist', name)));
  const { stdout } = await run(join(other, 'dist', name), ['--version']);
  t.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('what only debuggers read is stripped, once: a stripped file stays as it is', async (t) => {
  const whole = await readFile(process.execPath);
  const stripped = stripElf(whole);
  t.ok(stripped.length < whole.length * 0.85, `${stripped.length} of ${whole.length} bytes`);
  t.ok(stripElf(stripped).equals(stripped));
});

t.test('other files than executables of Linux are refused', async (t) => {
  t.throws(() => stripElf(Buffer.from('#!/bin/sh\n')), { message: /found no 64-bit little-endian ELF file/ });
});
