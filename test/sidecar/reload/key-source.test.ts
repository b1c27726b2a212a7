import { chmod, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { KeySourceError } from '../../../sidecar/keyring/errors.ts';
import { keyCheck } from '../../../sidecar/keyring/key-check.ts';
import type { Keyring } from '../../../sidecar/keyring/keyring.ts';
import { loadedKeys } from '../../../sidecar/keyring/loaded-keys.ts';
import { writeSecretFile } from '../../../sidecar/keyring/secret-file.ts';
import { KeySource } from '../../../sidecar/reload/key-source.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';

const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');

function keyring(generation = 1) {
  return {
    service: 'npu-worker',
    host: '172.16.168.22',
    outbound: { 'main-backend': { kid: 'npu-worker/1', keys: { '172.16.168.20': key(1) } } },
    inbound: {
      'main-backend': [
        { kid: `main-backend/${generation + 1}`, key: key(2) },
        { kid: `main-backend/${generation}`, key: key(3), not_after: '2026-12-01T00:00:00Z' },
      ],
    },
  };
}

async function inFile(t: Test, content: unknown = keyring(), mode = 0o600): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-keyring-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'keyring.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  await chmod(file, mode);
  return file;
}

/** Follows a file, and hands out what happens to it one by one. */
function follow(t: Test, source: KeySource): () => Promise<Keyring | KeySourceError> {
  const happened: (Keyring | KeySourceError)[] = [];
  const waiting: ((event: Keyring | KeySourceError) => void)[] = [];
  const push = (event: Keyring | KeySourceError) => {
    const next = waiting.shift();
    if (next) next(event);
    else happened.push(event);
  };
  source.watch({ onChange: (now) => push(now), onRefused: push });
  // The source keeps no process alive by itself.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => {
    clearInterval(alive);
    source.close();
  });
  return () => {
    const event = happened.shift();
    return event ? Promise.resolve(event) : new Promise((resolve) => waiting.push(resolve));
  };
}

t.test('reads a keyring into keys that sign, and says what is loaded without the keys', async (t) => {
  const { current } = await KeySource.open(await inFile(t));
  t.equal(current.service, 'npu-worker');
  const signing = current.outbound.get('main-backend');
  t.equal(signing?.kid, 'npu-worker/1');
  const expected = new PairKey(Buffer.alloc(32, 1)).macBase64('text');
  t.equal(signing?.keys.get('172.16.168.20')?.macBase64('text'), expected);
  t.equal(current.inbound.get('main-backend/1')?.notAfterMs, Date.parse('2026-12-01T00:00:00Z'));
  t.equal(current.inbound.get('main-backend/2')?.notAfterMs, Number.POSITIVE_INFINITY);
  const check = (byte: number) => keyCheck(new PairKey(Buffer.alloc(32, byte)));
  t.strictSame(loadedKeys(current), {
    outbound: { 'main-backend': { kid: 'npu-worker/1', checks: { '172.16.168.20': check(1) } } },
    inbound: {
      'main-backend': [
        { kid: 'main-backend/2', check: check(2) },
        { kid: 'main-backend/1', not_after: '2026-12-01T00:00:00.000Z', check: check(3) },
      ],
    },
  });
});

t.test('refuses a file that group or others may use, whatever the bit', async (t) => {
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666]) {
    const file = await inFile(t, keyring(), mode);
    await t.rejects(KeySource.open(file), { code: 'keyring-not-private', message: /expected 0600/ });
  }
});

t.test('refuses a file that is absent or no file', async (t) => {
  const file = await inFile(t);
  await t.rejects(KeySource.open(`${file}.not`), { code: 'keyring-unreadable', message: /no such file/ });
  await t.rejects(KeySource.open(join(file, '..')), { code: 'keyring-unreadable' });
});

t.test('names what is wrong with a keyring, and never quotes a key', async (t) => {
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ';
  const base = keyring();
  const broken: [unknown, RegExp][] = [
    [`{"service": "npu-worker", "key": ${secret}}`, /no valid JSON/],
    [`{"service":\n "${secret}`, /no valid JSON/],
    [secret, /no valid JSON/],
    ['', /found an empty file/],
    ['null', /the file: expected object/],
    [{ ...base, [secret]: secret }, /a key that keyring.json does not have/],
    [{ ...base, service: 'NPU' }, /service: expected a service name/],
    [{ ...base, host: secret }, /host: expected an IP address/],
    [
      { ...base, outbound: { 'main-backend': { kid: 'npu-worker/1', keys: { '172.16.168.20': secret } } } },
      /outbound\.main-backend\.keys\.172\.16\.168\.20: expected a key: 32 bytes in base64/,
    ],
    [
      { ...base, outbound: { 'main-backend': { kid: 'frontend/1', keys: {} } } },
      /outbound\.main-backend\.kid: expected a key id of npu-worker/,
    ],
    [
      { ...base, inbound: { frontend: [{ kid: 'main-backend/1', key: key(1) }] } },
      /inbound\.frontend\.0\.kid: expected a key id of frontend/,
    ],
    [
      {
        ...base,
        inbound: {
          frontend: [
            { kid: 'frontend/1', key: key(1) },
            { kid: 'frontend/1', key: key(2) },
          ],
        },
      },
      /inbound\.frontend\.1\.kid: expected each key id once/,
    ],
    [
      { ...base, inbound: { frontend: [{ kid: 'frontend/01', key: secret, not_after: 'tomorrow' }] } },
      /kid: expected a key id: .*key: expected a key: .*not_after: expected a time/s,
    ],
  ];
  for (const [content, message] of broken) {
    const error: unknown = await KeySource.open(await inFile(t, content)).catch((error: unknown) => error);
    if (!(error instanceof KeySourceError)) throw new Error('expected a KeySourceError', { cause: error });
    t.equal(error.code, 'keyring-malformed');
    t.match(error.message, message);
    t.notMatch(`${error.stack}${String(error.cause)}`, new RegExp(secret.slice(0, 6)));
  }
});

t.test('notices a replacement by rename, and a second one', async (t) => {
  const file = await inFile(t);
  const source = await KeySource.open(file);
  const next = follow(t, source);
  for (const generation of [2, 3]) {
    await writeSecretFile(file, JSON.stringify(keyring(generation)));
    t.equal(await next(), source.current);
    t.ok(source.current.inbound.has(`main-backend/${generation + 1}`));
  }
});

t.test('notices that a symlink points elsewhere', async (t) => {
  const one = await inFile(t, keyring(1));
  const two = await inFile(t, keyring(2));
  const link = join(one, '../current.json');
  await symlink(one, link);
  const source = await KeySource.open(link);
  const next = follow(t, source);
  await symlink(two, `${link}.new`);
  await rename(`${link}.new`, link);
  t.equal(await next(), source.current);
  t.ok(source.current.inbound.has('main-backend/3'));
});

t.test('keeps the keyring in force when the new file is broken, of another, or not private', async (t) => {
  const file = await inFile(t);
  const source = await KeySource.open(file);
  const before = source.current;
  const next = follow(t, source);
  await writeSecretFile(file, '{"service": "npu-wor');
  t.match(await next(), { code: 'keyring-malformed' });
  await writeSecretFile(file, JSON.stringify({ ...keyring(2), host: '172.16.168.99' }));
  t.match(await next(), { code: 'keyring-of-another', message: /172\.16\.168\.99/ });
  await writeFile(`${file}.open`, JSON.stringify(keyring(2)), { mode: 0o644 });
  await rename(`${file}.open`, file);
  t.match(await next(), { code: 'keyring-not-private' });
  t.equal(source.current, before);

  await writeSecretFile(file, JSON.stringify(keyring(4)));
  t.equal(await next(), source.current);
  t.ok(source.current.inbound.has('main-backend/5'));
});

t.test('reload says whether another keyring is in force', async (t) => {
  const file = await inFile(t);
  const source = await KeySource.open(file);
  t.equal(await source.reload(), false);
  await writeSecretFile(file, JSON.stringify(keyring(2)));
  t.equal(await source.reload(), true);
  await rm(file);
  await t.rejects(source.reload(), { code: 'keyring-unreadable' });
  t.ok(source.current.inbound.has('main-backend/3'));
});
