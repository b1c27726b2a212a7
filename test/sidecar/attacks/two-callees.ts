import { join } from 'node:path';
import type { Test } from 'tap';
import { freePorts, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Services that may be called: one that attacks and one that does not. */
export const hostile = 'npu-worker';
export const honest = 'ai-stack';
/** Its host, so that both callees may have an app on the same port. */
const honestHost = '127.0.0.2';

/**
 * Built sidecars of a caller, main-backend, and of two callees; resolves with the caller's outbound port.
 *
 * @param apps ports of the callees' apps
 * @param at `app`: the hostile app answers through a sidecar; `host`: it controls its host, and answers in its sidecar's place
 * @param fleet further lines of fleet.yaml
 */
export async function startTwoCallees(
  t: Test,
  apps: { readonly hostile: number; readonly honest: number },
  at: 'app' | 'host' = 'app',
  fleet = '',
): Promise<{ readonly outbound: number; readonly inbound: number }> {
  const folder = await tempFolder(t);
  const ports = await freePorts(9);
  const [outbound, inbound, honestInbound] = ports as [number, number, number];
  const hostileInbound = at === 'host' ? apps.hostile : inbound;
  await writeFleet(
    folder,
    {
      [hostile]: { inbound: hostileInbound, app: at === 'host' ? 2 : apps.hostile },
      [honest]: { host: honestHost, inbound: honestInbound, app: apps.honest },
      'main-backend': { inbound: ports[3] as number, app: 1 },
    },
    `services:\n${[hostile, honest].map((name) => `  ${name}: { callers: { main-backend: [ "* /**" ] } }\n`).join('')}`,
    fleet,
  );
  const start = (
    service: string,
    outbound: number,
    inbound: number,
    admin: number,
    app: number,
    host?: string,
  ) =>
    startSidecar(t, {
      // Only the logging binary sends a call to a host without a sidecar.
      phase: at === 'host' ? 'logging' : 'enforcing',
      folder: join(folder, service),
      service,
      ...(host === undefined ? {} : { host }),
      ports: { outbound, inbound, admin },
      app,
    });
  await start('main-backend', outbound, ports[3] as number, ports[4] as number, 1);
  await start(honest, ports[5] as number, honestInbound, ports[6] as number, apps.honest, honestHost);
  if (at === 'app') await start(hostile, ports[7] as number, inbound, ports[8] as number, apps.hostile);
  return { outbound, inbound: hostileInbound };
}
