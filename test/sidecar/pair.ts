import { join } from 'node:path';
import type { Test } from 'tap';
import {
  freePorts,
  type Phase,
  type SidecarProcess,
  startSidecar,
  writeFleet,
} from '../support/sidecar-process.ts';
import { tempFolder } from '../support/temp-folder.ts';

export interface Pair {
  readonly folder: string;
  readonly caller: SidecarProcess;
  readonly callee: SidecarProcess;
  /** Main-backend's outbound listener, the route listener to npu-worker, npu-worker's inbound listener. */
  readonly outbound: number;
  readonly route: number;
  readonly inbound: number;
  readonly admin: { readonly caller: number; readonly callee: number };
}

/** Two built sidecars: main-backend calls npu-worker, whose app listens at `app`. */
export async function startPair(
  t: Test,
  app: number,
  phase: Phase = 'enforcing',
  further = '',
): Promise<Pair> {
  const folder = await tempFolder(t);
  const [outbound, route, inbound, adminA, adminB, otherIn, otherOut] = (await freePorts(7)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  await writeFleet(
    folder,
    { 'npu-worker': { inbound, app }, 'main-backend': { inbound: otherIn, app: 1 } },
    'services:\n  npu-worker:\n    public: [ GET /api/health ]\n    callers:\n      main-backend: [ "* /**" ]\n',
  );
  const caller = await startSidecar(t, {
    phase,
    folder: join(folder, 'main-backend'),
    service: 'main-backend',
    ports: { outbound, inbound: otherIn, admin: adminA },
    app: 1,
    routes: { [`127.0.0.1:${route}`]: 'npu-worker' },
    further,
  });
  const callee = await startSidecar(t, {
    phase,
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { outbound: otherOut, inbound, admin: adminB },
    app,
    further,
  });
  return { folder, caller, callee, outbound, route, inbound, admin: { caller: adminA, callee: adminB } };
}
