import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { FileStore } from '../../../sidecar/rotation/file-store.ts';
import { registryStores } from '../../support/registry-stores.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const root = (generation: number, secondsToLive = 0, when: 'absent' | 'newer' = 'newer') => ({
  generation,
  secondsToLive,
  when,
  fields: { kid: `a/${generation}`, key: `key ${generation}` },
});

for (const [kind, make] of Object.entries(registryStores)) {
  t.test(`${kind}: roots are replaced by newer generations alone`, async (t) => {
    const store = await (await make(t)).open();
    t.same(await store.readHash('a'), {});
    t.equal(await store.putRoot('a', root(2, 0, 'absent')), true);
    t.equal(await store.putRoot('a', root(2, 0, 'absent')), true, 'again');
    t.equal(await store.putRoot('a', root(3, 0, 'absent')), false, 'there is one');
    t.equal(await store.putRoot('a', root(1)), false, 'an older one');
    t.same(await store.readHash('a'), { kid: 'a/2', key: 'key 2' });
    t.equal(await store.putRoot('a', root(10)), true, 'by number, not by text');
    await store.dropRoot('a', 'a/2');
    t.same(await store.readHash('a'), { kid: 'a/10', key: 'key 10' });
    await store.dropRoot('a', 'a/10');
    await store.delete('nothing');
    t.same(await store.readHash('a'), {});
  });

  t.test(`${kind}: a root with an end ends`, async (t) => {
    const store = await (await make(t)).open();
    await store.putRoot('a', root(1, 1));
    await store.putRoot('b', root(1, 3600));
    await store.putRoot('c', root(1, 1));
    await store.putRoot('c', root(2));
    const deadline = performance.now() + 20_000;
    while ((await store.readHash('a')).kid !== undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    t.same(await store.readHash('a'), {});
    t.equal((await store.readHash('b')).kid, 'a/1');
    t.equal((await store.readHash('c')).kid, 'a/2', 'the end of the one before is not that of the next');
  });

  t.test(`${kind}: counters only rise, and no number is given twice`, async (t) => {
    const registry = await make(t);
    const stores = [await registry.open(), await registry.open()];
    const given = await Promise.all(
      Array.from({ length: 20 }, (_, index) => stores[index % 2]?.nextNumber('a', 0)),
    );
    t.equal(new Set(given).size, 20);
    t.equal(await stores[0]?.nextNumber('a', 100), 101);
    t.equal(await stores[1]?.nextNumber('a', 5), 102);
    t.equal(await stores[0]?.readCounter('a'), 102);
    t.equal(await stores[0]?.readCounter('b'), 0);
  });

  t.test(`${kind}: marks of revocation never sink; fields come and go`, async (t) => {
    const store = await (await make(t)).open();
    await store.markRevoked('a', 4, 'then');
    await store.markRevoked('a', 3, 'later');
    t.same(await store.readHash('a'), { generation: '4', at: 'later' });
    await store.setField('hosts', '10.0.0.1', 'then');
    await store.setField('hosts', '10.0.0.2', 'then');
    await store.removeField('hosts', '10.0.0.1');
    t.same(await store.readHash('hosts'), { '10.0.0.2': 'then' });
  });

  t.test(`${kind}: the lock has one holder, who alone writes beside it`, async (t) => {
    const registry = await make(t);
    const [one, two] = [await registry.open(), await registry.open()];
    const lock = (token: string, forMs = 60_000, takeOver = false) => ({
      token,
      holder: `holder of ${token}`,
      forMs,
      takeOver,
    });
    t.equal(await one.acquireLock('r', lock('1')), undefined);
    t.equal(await one.acquireLock('r', lock('1')), undefined, 'again');
    t.equal(await two.acquireLock('r', lock('2')), 'holder of 1');
    t.equal(await two.writeAsHolder('r', '2', { phase: 'x' }), false);
    t.equal(await one.writeAsHolder('r', '1', { phase: 'staging', id: 'i' }), true);
    t.equal(await two.acquireLock('r', lock('2', 60_000, true)), undefined, 'taken over');
    t.equal(await one.renewLock('r', '1', 60_000), false);
    t.equal(await one.removeAsHolder('r', '1', ['phase']), false);
    await one.releaseLock('r', '1');
    t.equal(await two.renewLock('r', '2', 1), true);
    const deadline = performance.now() + 20_000;
    while ((await one.acquireLock('r', lock('3'))) !== undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    t.match(await two.readHash('r'), { holder: '3', phase: 'staging' }, 'a lock that is not renewed ends');
    t.equal(await one.removeAsHolder('r', '3', ['phase', 'id']), true);
    await one.releaseLock('r', '3');
    t.same(await two.readHash('r'), {});
  });
}

t.test('file: is private, and refuses to be used when it is not', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'registry');
  const store = await FileStore.open(file);
  await store.putRoot('a', root(1));
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.same(await readdir(folder), ['registry'], 'nothing lies beside it');
  store.close();
  await chmod(file, 0o640);
  await t.rejects(FileStore.open(file), {
    code: 'registry-refused',
    message: /found mode 0640, expected 0600/,
  });
  await t.rejects(FileStore.open(folder), { code: 'registry-unreachable', message: /found EISDIR/ });
});
