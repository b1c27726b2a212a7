import { join } from 'node:path';
import type { Test } from 'tap';
import { RecordingApp } from '../../support/raw-http.ts';
import {
  freePorts,
  type Phase,
  type SidecarProcess,
  startSidecar,
  writeFleet,
} from '../../support/sidecar-process.ts';
import { buildSigned, outboundKey, type SignedRequest } from '../../support/signed-request.ts';
import { tempFolder } from '../../support/temp-folder.ts';

export const authorization = `services:
  npu-worker:
    public: [ GET /api/health, POST /api/open ]
    callers:
      main-backend: [ POST /api/process, GET /api/status/*, "* /internal/**" ]
      ai-stack: [ GET /api/models ]
  main-backend:
    public: [ GET /api/health ]
    callers:
      npu-worker: [ POST /api/npu/heartbeat ]
`;

/** What is attacked: the built binary of npu-worker before an app that records every byte. */
export interface Target {
  readonly folder: string;
  readonly app: RecordingApp;
  readonly sidecar: SidecarProcess;
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
  readonly callerKey: { kid: string; key: Buffer };
  /** A request of main-backend, rightly signed unless changed. */
  signed(changes?: Partial<SignedRequest>): ReturnType<typeof buildSigned>;
}

/**
 * @param further lines of sidecar.yaml
 * @param appPort where the app listens, when it is not the recording one
 * @param fleet further lines of fleet.yaml
 * @param callers further services, which only call
 */
export async function startTarget(
  t: Test,
  phase: Phase = 'enforcing',
  further = '',
  appPort?: number,
  fleet = '',
  callers: readonly string[] = [],
): Promise<Target> {
  const folder = await tempFolder(t);
  const app = await RecordingApp.start(t);
  const [inbound, outbound, admin, other, third] = (await freePorts(5)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  await writeFleet(
    folder,
    {
      'npu-worker': { inbound, app: appPort ?? app.port },
      'main-backend': { inbound: other, app: 2 },
      'ai-stack': { host: '127.0.0.2', inbound: third, app: 1 },
      ...Object.fromEntries(callers.map((name) => [name, { host: '127.0.0.3' }])),
    },
    authorization,
    fleet,
  );
  const sidecar = await startSidecar(t, {
    phase,
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { inbound, outbound, admin },
    app: appPort ?? app.port,
    further,
  });
  const callerKey = await outboundKey(join(folder, 'main-backend/keyring.json'), 'npu-worker');
  return {
    folder,
    app,
    sidecar,
    inbound,
    outbound,
    admin,
    callerKey,
    signed: (changes) =>
      buildSigned({ ...callerKey, host: 'npu-worker', method: 'GET', target: '/api/status/7', ...changes }),
  };
}
