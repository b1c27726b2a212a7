import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attachState, openState } from '../../../sidecar/replay/state.ts';
import { leaveSettledState } from '../../../tools/settled-state.ts';
import { type Ask, startStateProcess } from '../../support/state-process.ts';

const kids = ['a/1', 'b/1'];
const report = (error: Error) => t.fail(error.message);
const nowSeconds = () => Math.floor(Date.now() / 1000);
const nonce = (n: number) => `nonce-${String(n).padStart(16, '0')}`;

/** A state directory from which nothing is refused any more. */
async function settled(t: Test): Promise<string> {
  const directory = join(t.testdir(), 'state');
  await leaveSettledState(directory);
  return directory;
}

t.test('a directory without marks may have lost them: what was signed before is refused', async (t) => {
  const directory = join(t.testdir(), 'new', 'state');
  let wallMs = Date.now();
  const now = () => wallMs;
  const start = Math.floor(wallMs / 1000);
  const state = await openState(directory, { kids, report, now });
  t.equal(state.origin, 'no-marks');
  t.equal(state.settlesAtMs, (start + 3) * 1000);
  for (const created of [start - 300, start, start + 2])
    t.equal(state.memory.admit('a/1', nonce(1), created), 'lost', `created ${created - start} s after start`);
  t.equal(state.memory.admit('a/1', nonce(1), start + 3), 'lost', 'ahead of a clock that is not past it');
  t.equal(state.memory.admit('a/1', nonce(1), start + 290), 'lost');
  t.equal(
    state.memory.admit('a/1', nonce(1), start, 'sealed'),
    'lost',
    'what its own caller sends once more',
  );
  t.equal(state.memory.admit('a/1', nonce(1), start + 100, 'sealed'), 'fresh', 'nobody can have recorded it');

  state.memory.setClock(start + 10, 2);
  t.equal(state.memory.admit('a/1', nonce(3), start + 10), 'unmarked');
  await state.marks.cover('a/1', start + 10);
  t.equal(state.memory.admit('a/1', nonce(3), start + 10), 'fresh', 'a caller whose clock is right');
  t.equal(state.memory.admit('a/1', nonce(4), start + 250), 'lost', 'one that is ahead');
  await state.handOver();

  const { whole_from } = JSON.parse(await readFile(join(directory, 'marks.json'), 'utf8'));
  t.equal(whole_from, start + 301, 'kept for a process that comes after a crash');
  wallMs += 100_000;
  const second = await openState(directory, { kids, report, now });
  t.equal(second.origin, 'handed-over');
  t.equal(second.memory.admit('a/1', nonce(5), start + 250), 'lost', 'the next process does not know either');
  await second.handOver();
  wallMs += 202_000;
  const third = await openState(directory, { kids, report, now });
  const late = start + 302 + 250;
  await third.marks.cover('a/1', late);
  t.equal(third.memory.admit('a/1', nonce(6), late), 'fresh', 'the time is over');
  await third.handOver();
});

t.test('killed soon after a start without marks, the next process still knows of none', async (t) => {
  const directory = join(t.testdir(), 'state');
  const first = startStateProcess(directory, kids);
  t.equal(await first.opened(), 'no-marks');
  await first.kill();
  const second = startStateProcess(directory, kids);
  t.equal(await second.opened(), 'crashed');
  t.equal(await second.ask({ kid: 'a/1', nonce: nonce(1), created: nowSeconds() + 250 }), 'lost');
  await second.kill();
});

t.test('no mark stands further ahead than the clock of retention allows', async (t) => {
  const state = await openState(await settled(t), { kids, report });
  const twoDays = nowSeconds() + 172_800;
  t.equal(state.memory.admit('a/1', nonce(1), twoDays), 'ahead', 'a wall clock that jumped for a moment');
  await state.marks.cover('a/1', twoDays);
  t.ok((state.memory.mark('a/1') as number) <= nowSeconds() + 302);
  t.equal(state.memory.admit('a/1', nonce(1), twoDays, 'sealed'), 'ahead');
  await state.handOver();
});

t.test('only calls that can be recorded write marks', async (t) => {
  const state = await openState(await settled(t), { kids, report });
  const created = nowSeconds();
  t.equal(state.memory.admit('a/1', nonce(1), created, 'sealed'), 'fresh');
  t.notOk(state.memory.takePlainSeen());
  t.equal(state.memory.admit('a/1', nonce(1), created, 'sealed'), 'replayed');
  t.equal(state.memory.admit('a/1', nonce(1), created), 'replayed', 'however it comes the second time');
  t.equal(state.memory.admit('a/1', nonce(2), created), 'fresh');
  t.ok(state.memory.takePlainSeen());
  await state.handOver();
});

t.test('files that are none, and file systems that keep none, are errors', async (t) => {
  for (const name of ['marks.json', 'replay.bin', 'lock.sqlite']) {
    const directory = t.testdir();
    execFileSync('mkfifo', [join(directory, name)]);
    await t.rejects(openState(directory, { kids, report }), {
      code: 'state-unusable',
      message: new RegExp(`${name} is .*expected a regular file`),
    });
  }
  for (const directory of ['/proc/self/state', '/proc/1/fdinfo', '/sys/kernel/state'])
    await t.rejects(openState(directory, { kids, report }), { code: 'state-unusable', message: /lies on a/ });
});

t.test('a handover passes everything on, once', async (t) => {
  const directory = await settled(t);
  const first = await openState(directory, { kids, report });
  const created = nowSeconds();
  for (let n = 0; n < 5000; n++) first.memory.admit(kids[n % 2] as string, nonce(n), created - (n % 290));
  const { entries } = first.memory;
  t.equal(entries, 5000);
  await first.handOver();
  t.equal(
    first.memory.admit('a/1', nonce(9999), created),
    'lost',
    'the old process verifies nothing any more',
  );
  t.ok(existsSync(join(directory, 'replay.bin')));
  for (const file of await readdir(directory))
    t.equal((await stat(join(directory, file))).mode & 0o777, 0o600, file);

  const second = await openState(directory, { kids, report });
  t.equal(second.origin, 'handed-over');
  t.notOk(existsSync(join(directory, 'replay.bin')), 'gone before the first request is accepted');
  t.equal(second.memory.entries, entries);
  let replayed = 0;
  for (let n = 0; n < 5000; n++)
    if (second.memory.admit(kids[n % 2] as string, nonce(n), created - (n % 290)) === 'replayed') replayed++;
  t.equal(replayed, 5000);
  t.equal(second.memory.admit('b/1', nonce(9999), created), 'fresh');
  second.memory.forget(created + 1000);
  t.equal(second.memory.entries, 0, 'counts went along');
  await second.handOver();

  const third = await openState(directory, { kids, report });
  t.equal(third.memory.admit('a/1', nonce(1), created - 1), 'lost', 'the horizon went along');
  await third.handOver();
});

t.test('others get their turn while a large memory is handed over', async (t) => {
  const state = await openState(await settled(t), { kids, report });
  const created = nowSeconds();
  // All in one minute.
  for (let n = 0; n < 500_000; n++) state.memory.admit('a/1', nonce(n), created);
  let handedOver = false;
  const done = state.handOver().finally(() => {
    handedOver = true;
  });
  let longestMs = 0;
  while (!handedOver) {
    const before = process.threadCpuUsage();
    await new Promise(setImmediate);
    const { user, system } = process.threadCpuUsage(before);
    longestMs = Math.max(longestMs, (user + system) / 1000);
  }
  await done;
  t.ok(longestMs < 12, `${longestMs.toFixed(1)} ms of computing in one turn of the event loop`);
});

t.test('the next process waits for the lock, and gives up when it is told to', async (t) => {
  const directory = await settled(t);
  const first = await openState(directory, { kids, report });
  const abort = new AbortController();
  const impatient = openState(directory, { kids, report, signal: abort.signal });
  abort.abort();
  await t.rejects(impatient, { code: 'ABORT_ERR' });
  const second = openState(directory, { kids, report });
  t.equal(first.memory.admit('a/1', nonce(1), nowSeconds()), 'fresh', 'the first goes on meanwhile');
  await first.handOver();
  t.equal((await second).origin, 'handed-over');
  await (await second).handOver();
});

t.test('a directory that can not be used is an error that says so', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  await t.rejects(openState(join(file, 'state'), { kids, report }), {
    code: 'state-unusable',
    message: /can't be made/,
  });
  const damaged = t.testdir({
    'lock.sqlite': 'no database at all, and long enough to be read as one'.repeat(40),
  });
  await t.rejects(openState(damaged, { kids, report }), { code: 'state-unusable', message: /lock\.sqlite/ });
});

t.test('a created past its mark is accepted when the mark is durable, and not before', async (t) => {
  const directory = await settled(t);
  const state = await openState(directory, { kids, report });
  const future = nowSeconds() + 200;
  t.equal(state.memory.admit('a/1', nonce(1), future), 'unmarked');
  await Promise.all([state.marks.cover('a/1', future), state.marks.cover('a/1', future - 50)]);
  const { marks } = JSON.parse(await readFile(join(directory, 'marks.json'), 'utf8')) as {
    marks: Record<string, number>;
  };
  t.ok((marks['a/1'] as number) >= future);
  t.ok((marks['b/1'] as number) < future, "somebody else's clock is no business of this caller");
  t.equal(state.memory.admit('a/1', nonce(1), future), 'fresh');
  t.equal(state.memory.admit('c/1', nonce(1), nowSeconds()), 'unmarked', 'a key id of a newer keyring');
  await state.use([...kids, 'c/1']);
  t.equal(state.memory.admit('c/1', nonce(1), nowSeconds()), 'fresh');
  await state.handOver();
});

t.test('a worker thread gets its cover from the thread that has the files', async (t) => {
  const state = await openState(await settled(t), { kids, report });
  const worker = attachState(state.shared);
  const future = nowSeconds() + 100;
  t.equal(worker.memory.admit('b/1', nonce(1), future), 'unmarked');
  await worker.marks.cover('b/1', future);
  t.equal(worker.memory.admit('b/1', nonce(1), future), 'fresh');
  t.equal(state.memory.admit('b/1', nonce(1), future), 'replayed');
  worker.marks.close();
  await state.handOver();
});

t.test('after a crash nothing is accepted that may have been accepted before', async (t) => {
  const directory = await settled(t);
  const first = startStateProcess(directory, kids);
  t.equal(await first.opened(), 'handed-over');
  const created = nowSeconds();
  t.equal(await first.ask({ kid: 'a/1', nonce: nonce(1), created }), 'fresh');
  t.equal(await first.ask({ kid: 'b/1', nonce: nonce(1), created: created + 250 }), 'fresh');
  await first.kill();

  const second = startStateProcess(directory, [...kids, 'c/1']);
  t.equal(await second.opened(), 'crashed');
  t.equal(await second.ask({ kid: 'a/1', nonce: nonce(1), created }), 'lost');
  t.equal(await second.ask({ kid: 'a/1', nonce: nonce(2), created }), 'lost', 'new ones of that time too');
  t.equal(
    await second.ask({ kid: 'b/1', nonce: nonce(1), created: created + 250 }),
    'lost',
    'from the future',
  );
  t.equal(
    await second.ask({ kid: 'a/1', nonce: nonce(3), created: nowSeconds() + 4 }),
    'fresh',
    'after a gap of seconds',
  );
  t.equal(
    await second.ask({ kid: 'c/1', nonce: nonce(1), created: nowSeconds() }),
    'lost',
    'a key id without a mark',
  );
  await second.kill();

  const third = startStateProcess(directory, [...kids, 'c/1']);
  t.equal(await third.opened(), 'crashed');
  t.equal(
    await third.ask({ kid: 'b/1', nonce: nonce(1), created: created + 250 }),
    'lost',
    'after another crash too',
  );
  t.equal(await third.ask({ kid: 'c/1', nonce: nonce(1), created: nowSeconds() + 290 }), 'lost');
  third.handOver();
  await third.closed;

  const fourth = startStateProcess(directory, [...kids, 'c/1']);
  t.equal(await fourth.opened(), 'handed-over');
  t.equal(
    await fourth.ask({ kid: 'b/1', nonce: nonce(1), created: created + 250 }),
    'lost',
    'and after a handover',
  );
  t.equal(await fourth.ask({ kid: 'c/1', nonce: nonce(1), created: nowSeconds() + 290 }), 'lost');
  await fourth.kill();
});

t.test('a damaged memory counts as none, damaged marks as none of the key ids', async (t) => {
  const directory = await settled(t);
  const first = await openState(directory, { kids, report });
  const created = nowSeconds();
  first.memory.admit('a/1', nonce(1), created);
  await first.handOver();
  const file = join(directory, 'replay.bin');
  const bytes = await readFile(file);
  bytes[bytes.length - 20]! ^= 1;
  await writeFile(file, bytes);
  const second = await openState(directory, { kids, report });
  t.equal(second.origin, 'crashed');
  t.equal(second.memory.admit('a/1', nonce(1), created), 'lost');
  t.equal(second.memory.admit('a/1', nonce(1), nowSeconds() + 4), 'unmarked');
  await second.handOver();

  await writeFile(file, bytes.subarray(0, 30));
  await writeFile(join(directory, 'marks.json'), '{"marks":');
  const third = await openState(directory, { kids, report });
  t.equal(third.origin, 'crashed');
  t.equal(third.memory.admit('a/1', nonce(1), nowSeconds() + 290), 'lost');
  await third.handOver();
});

t.test('killed at any moment under load, no process accepts what one before it has accepted', async (t) => {
  const directory = await settled(t);
  const accepted: Ask[] = [];
  for (let round = 0; round < 5; round++) {
    const process = startStateProcess(directory, kids);
    t.equal(await process.opened(), round === 0 ? 'handed-over' : 'crashed');
    for (const ask of accepted.slice(-200)) {
      const admission = await process.ask(ask);
      if (admission !== 'lost') t.fail(`round ${round}: ${ask.nonce} was ${admission}`);
    }
    process.flood(round % 2 === 0 ? 0 : 280);
    const until = Date.now() + Math.random() * 300;
    const take = (line: Record<string, unknown>) => {
      if (line.admission === 'fresh') accepted.push(line as unknown as Ask);
    };
    while (Date.now() < until) take(await process.next());
    (await process.kill()).forEach(take);
  }
  t.ok(accepted.length > 0, `${accepted.length} accepted`);
});

t.test('two processes that overlap under load accept each nonce once between them', async (t) => {
  const directory = await settled(t);
  const old = startStateProcess(directory, kids);
  await old.opened();
  old.flood(0);
  const accepted: Ask[] = [];
  const take = (line: Record<string, unknown>) => {
    if (line.admission === 'fresh') accepted.push(line as unknown as Ask);
  };
  while (accepted.length < 500) take(await old.next());
  const successor = startStateProcess(directory, kids);
  while (accepted.length < 2000) take(await old.next());
  t.equal(successor.lines.length, 0, 'it does not accept while the old one does');
  old.handOver();
  t.equal(await successor.opened(), 'handed-over');
  await old.closed;
  old.lines.forEach(take);
  let replayed = 0;
  for (const ask of accepted) if ((await successor.ask(ask)) === 'replayed') replayed++;
  t.equal(replayed, accepted.length);
  t.equal(
    await successor.ask({ kid: 'a/1', nonce: nonce(1), created: nowSeconds() }),
    'fresh',
    'no gap for new ones',
  );
  await successor.kill();
});

const faketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
t.test(
  'a clock that steps forward and back',
  { skip: !existsSync(faketime) && 'no libfaketime here' },
  async (t) => {
    const directory = t.testdir({ clock: '+0\n' });
    await leaveSettledState(join(directory, 'state'), 10_000);
    const clock = join(directory, 'clock');
    const process = startStateProcess(join(directory, 'state'), kids, {
      LD_PRELOAD: faketime,
      FAKETIME_TIMESTAMP_FILE: clock,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    });
    await process.opened();
    const created = nowSeconds();
    t.equal(await process.ask({ kid: 'a/1', nonce: nonce(1), created }), 'fresh');

    await writeFile(clock, '+3600\n');
    t.equal(
      await process.ask({ kid: 'a/1', nonce: nonce(2), created: 0, relative: true }),
      'ahead',
      'an hour ahead: the clock of retention does not follow a step at once',
    );
    // A beat of the memory passes, in which a clock that followed the step would forget.
    await process.beat();

    await writeFile(clock, '+0\n');
    t.equal(
      await process.ask({ kid: 'a/1', nonce: nonce(1), created }),
      'replayed',
      'and back: nothing was forgotten',
    );
    t.equal(
      await process.ask({ kid: 'a/1', nonce: nonce(3), created: 0, relative: true }),
      'fresh',
      'nobody is refused',
    );

    await writeFile(clock, '-3600\n');
    t.equal(
      await process.ask({ kid: 'a/1', nonce: nonce(4), created: 0, relative: true }),
      'fresh',
      'an hour behind',
    );
    t.equal(await process.ask({ kid: 'a/1', nonce: nonce(4), created: created - 3600 }), 'replayed');
    await process.kill();
  },
);
