import { randomInt } from 'node:crypto';
import type { Test } from 'tap';
import { Folder } from '../../sidecar/local/folder.ts';
import { assertFree } from '../../sidecar/local/held-socket.ts';
import { type LocalService, layout } from '../../sidecar/local/layout.ts';
import { LocalFleet } from '../../sidecar/local/local-fleet.ts';
import { build } from '../../tools/build.ts';
import { tempFolder } from './temp-folder.ts';

export interface TestFleet {
  readonly fleet: LocalFleet;
  readonly folder: Folder;
  /** The services by name. */
  readonly at: (name: string) => LocalService;
}

/** The local fleet as `npm run up` starts it, on ports and in a folder of its own; stopped when the test ends. */
export async function startLocalFleet(t: Test): Promise<TestFleet> {
  await build();
  const folder = new Folder(await tempFolder(t));
  const fleet = new LocalFleet({ folder, basePort: await freeBasePort() });
  t.teardown(() => fleet.stop());
  await fleet.start();
  const at = (name: string) => fleet.services.find((service) => service.name === name) as LocalService;
  return { fleet, folder, at };
}

/** A base port from which all ports of the local fleet are free. */
export async function freeBasePort(): Promise<number> {
  for (;;) {
    const base = randomInt(16, 29) * 1000 + randomInt(0, 6) * 10;
    const ports = layout(base).flatMap(({ app, outbound, inbound, admin, routes }) => [
      app,
      outbound,
      inbound,
      admin,
      ...routes.keys(),
    ]);
    const free = await Promise.all(
      ports.map((port) =>
        assertFree(port).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (free.every(Boolean)) return base;
  }
}
