import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { initKeys } from '../../../sidecar/rotation/init-keys.ts';
import { OutFolder } from '../../../sidecar/rotation/out-folder.ts';
import { KeyRegistry } from '../../../sidecar/rotation/registry.ts';
import type { RegistryStore } from '../../../sidecar/rotation/registry-store.ts';
import { rotateKeys } from '../../../sidecar/rotation/rotate-keys.ts';
import type { Rotator } from '../../../sidecar/rotation/rotator.ts';
import { KeyHosts } from '../../support/key-hosts.ts';
import { storyFleet } from '../../support/key-story.ts';
import { registryStores } from '../../support/registry-stores.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const reads: ReadonlySet<PropertyKey> = new Set(['readHash', 'readCounter']);

/** A store whose process dies after so many writes: nothing that it is asked then reaches the registry. */
function dyingStore(store: RegistryStore, writes: { left: number; done: number }): RegistryStore {
  return new Proxy(store, {
    get:
      (target, name) =>
      async (...args: unknown[]) => {
        if (writes.left <= 0) throw new Error('the process is dead');
        const operation = target[name as keyof RegistryStore] as (...args: unknown[]) => Promise<unknown>;
        const answer = await operation.apply(target, args);
        if (!reads.has(name)) {
          writes.left--;
          writes.done++;
        }
        return answer;
      },
  });
}

for (const [kind, make] of Object.entries(registryStores))
  t.test(
    `${kind}: dead after any write, and run again, a rotation completes without a call lost`,
    async (t) => {
      const folder = await tempFolder(t);
      const stores = await make(t);
      const out = new OutFolder(join(folder, 'out'));
      const rotatorWith = (store: RegistryStore): Rotator => ({
        fleet: storyFleet,
        registry: new KeyRegistry(store),
        out,
        now: Date.now,
        say: () => {},
      });
      await initKeys(rotatorWith(await stores.open()), new Map(), new Set());
      await mkdir(join(folder, 'hosts'));
      const hosts = await KeyHosts.start(t, storyFleet, out.path, folder);
      const access = {
        adminUrls: hosts.adminUrls,
        deliverCommand: await hosts.deliverCommand(),
        loadWithinMs: 60_000,
      };
      const signal = new AbortController().signal;
      const store = await stores.open();
      const rotate = async (writes: { left: number; done: number }) => {
        const rotator = rotatorWith(dyingStore(store, writes));
        await rotator.registry.lock({ takeOver: true });
        await rotateKeys(rotator, access, [...storyFleet.services.keys()], signal);
      };
      const generationsOf = async () =>
        Promise.all(
          [...storyFleet.services.keys()].map(
            async (name) => (await store.readHash(`service:key:${name}`)).kid,
          ),
        );
      const whole = { left: Number.POSITIVE_INFINITY, done: 0 };
      await rotate(whole);
      t.ok(whole.done > 12, `${whole.done} writes`);
      for (let at = 1; at < whole.done; at++) {
        const before = await generationsOf();
        await t.rejects(
          rotate({ left: at, done: 0 }),
          { message: 'the process is dead' },
          `after write ${at}`,
        );
        hosts.check();
        await rotate({ left: Number.POSITIVE_INFINITY, done: 0 });
        const previous = await Promise.all(
          [...storyFleet.services.keys()].map(
            async (name) => (await store.readHash(`service:key:${name}:previous`)).kid,
          ),
        );
        t.strictSame(previous, before, `after write ${at} each key was replaced once`);
        t.strictSame(hosts.trouble, [], `after write ${at} every call worked`);
      }
    },
  );
