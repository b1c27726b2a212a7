import { join } from 'node:path';
import type { Policy, Sources } from '../../sidecar/console/sources.ts';
import { openMatrix } from '../../sidecar/matrix-tools/open-matrix.ts';
import {
  denialsDocument,
  type HostState,
  type ObservedDocument,
  observation,
  type Phase,
  type StatusDocument,
} from '../../sidecar/telemetry/documents.ts';
import { hopsDocument, statusHops } from '../../sidecar/telemetry/hop-documents.ts';
import { renderMetrics } from '../../sidecar/telemetry/metrics.ts';
import { readMetrics } from '../../sidecar/telemetry/metrics-document.ts';
import { Telemetry } from '../../sidecar/telemetry/telemetry.ts';
import type { CallRecord } from '../../sidecar/terms/call-record.ts';
import type { Denial } from '../../sidecar/terms/verdict.ts';
import { callRecord } from './call-record.ts';
import { memoryLogger } from './log-lines.ts';

const root = join(import.meta.dirname, '../..');
const hourMs = 3_600_000;
/** Seconds of traffic that are there when it begins. */
const beforeSeconds = 40;

/** A call that happens again and again. */
interface Pattern {
  readonly caller: string | undefined;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  /** Absent for a call that is denied. */
  readonly rule?: string;
  readonly denial?: Denial;
  readonly perSecond: number;
  readonly ms: number;
}

const patterns: readonly Pattern[] = [
  call('frontend', 'main-backend', 'GET', '/api/sessions/7', '* /api/**', 18, 6),
  call('frontend', 'main-backend', 'POST', '/api/chat', '* /api/**', 4, 240),
  call('main-backend', 'npu-worker', 'POST', '/api/process', 'POST /api/process', 6, 35),
  call('main-backend', 'npu-worker', 'GET', '/api/status/42', 'GET /api/status/*', 9, 3),
  call('main-backend', 'ai-stack', 'POST', '/v1/chat/completions', 'POST /v1/chat/completions', 3, 780),
  call('main-backend', 'ai-stack', 'GET', '/v1/models', 'GET /v1/models', 0.5, 4),
  call('npu-worker', 'ai-stack', 'POST', '/api/inference', 'POST /api/inference', 2, 160),
  call('npu-worker', 'main-backend', 'POST', '/api/npu/heartbeat', 'POST /api/npu/heartbeat', 1, 2),
  call('ai-stack', 'main-backend', 'GET', '/api/models', 'GET /api/models', 0.5, 4),
  call(undefined, 'main-backend', 'GET', '/api/health', 'GET /api/health', 1, 1),
  {
    caller: 'frontend',
    callee: 'npu-worker',
    method: 'GET',
    path: '/api/status',
    denial: {
      reason: 'not-authorized',
      detail: 'No rule allows frontend GET /api/status on npu-worker.',
      rule: 'main-backend: GET /api/status',
      expected: 'caller main-backend',
      received: 'caller frontend',
    },
    perSecond: 0.4,
    ms: 2,
  },
  {
    caller: undefined,
    callee: 'npu-worker',
    method: 'POST',
    path: '/api/process',
    denial: {
      reason: 'missing-signature',
      detail: 'The call has no Signature field: expected one with tag="countersign".',
    },
    perSecond: 0.1,
    ms: 1,
  },
];

function call(
  caller: string | undefined,
  callee: string,
  method: string,
  path: string,
  rule: string,
  perSecond: number,
  ms: number,
): Pattern {
  return { caller, callee, method, path, rule: `${caller ?? 'public'}: ${rule}`, perSecond, ms };
}

export interface DemoFleet extends Sources {
  readonly policy: Policy;
  /** Lets some seconds of its traffic happen. */
  pass(seconds: number): void;
  /** Has a sidecar record a call. */
  record(service: string, call: CallRecord): void;
  /** What the caller's sidecar of a denied call remembers. */
  telemetryOf(service: string): Telemetry;
}

export interface DemoOptions {
  /** Of services; default logging. */
  readonly phases?: Readonly<Record<string, Phase>>;
  /** Services whose sidecars do not answer. */
  readonly silent?: readonly string[];
}

/** The six services of config/fleet.yaml with real telemetry and made-up traffic; nothing listens anywhere. */
export async function demoFleet(
  t: { teardown(done: () => unknown): void },
  { phases = {}, silent = [] }: DemoOptions = {},
): Promise<DemoFleet> {
  const opened = await openMatrix({ authorization: join(root, 'config/authorization.yaml') });
  if (opened.fleet === undefined) throw new Error('config/fleet.yaml is missing');
  const file = 'config/authorization.yaml';
  const source = { ...opened.source, file };
  const policy: Policy = { ...opened, file, source, fleet: opened.fleet };
  const startedAtMs = Date.now();
  const peers = [...policy.fleet.services.keys()];
  const { logger } = memoryLogger();
  const telemetries = new Map(
    peers.map((service) => {
      const keyAges = peers.map((name, index) => ({ kid: `${name}/3`, seconds: (9 + 7 * index) * 86_400 }));
      const telemetry = new Telemetry({
        service,
        peers,
        logger,
        gauges: () => ({ replayEntries: 120, keyAges }),
      });
      t.teardown(() => telemetry.close());
      return [service, telemetry] as const;
    }),
  );
  const telemetryOf = (service: string) => telemetries.get(service) as Telemetry;
  const hostOf = (service: string) => policy.fleet.services.get(service)?.hosts[0] ?? '';
  for (const { caller, callee } of patterns) {
    if (caller === undefined) continue;
    telemetryOf(callee).hopConnection('inbound', caller, true, 1);
    telemetryOf(caller).hopConnection('outbound', callee, true, 1);
  }
  const passed = new Map<Pattern, number>();
  let serial = 0;
  const pass = (seconds: number) => {
    for (const pattern of patterns) {
      const due = (passed.get(pattern) ?? 0) + pattern.perSecond * seconds;
      for (let i = 0; i < Math.floor(due); i++) happen(pattern, serial++, telemetryOf, hostOf);
      passed.set(pattern, due % 1);
    }
  };
  pass(beforeSeconds);
  const read = async (service: string): Promise<HostState> => {
    if (silent.includes(service))
      return {
        from: service,
        target: { service, host: hostOf(service) },
        problem: 'no answer (ECONNREFUSED)',
      };
    const telemetry = telemetryOf(service);
    const snapshot = telemetry.snapshot();
    const phase = phases[service] ?? 'logging';
    const now = Date.now();
    const metrics = await renderMetrics(snapshot, { phase, version: '0.2.0' });
    const gathered_at = new Date(now).toISOString();
    return {
      from: `http://${hostOf(service)}:15000`,
      status: {
        gathered_at,
        service,
        host: hostOf(service),
        phase,
        version: '0.2.0',
        build: phase === 'logging' ? '5d2a9c41' : 'c07be133',
        matrix: policy.matrix.hash,
        fleet: policy.fleet.hash,
        keys: keysOf(service, policy),
        hops: statusHops(snapshot.hopCounts),
        uptime_seconds: beforeSeconds + (now - startedAtMs) / 1000,
        ready: true,
        workers: 2,
        app_exposed_on: [],
        app_listens: true,
      },
      metrics: readMetrics(metrics),
      observed: {
        gathered_at,
        since: new Date(startedAtMs - 21 * hourMs).toISOString(),
        phase,
        recorded: recordedOf(phase, now, 24 - 3.2 + peers.indexOf(service) * 0.4),
        observations: snapshot.rows.map(observation),
        skew: [],
        keys_first_seen: Object.fromEntries(
          peers.map((name, index) => [
            `${name}/3`,
            new Date(now - (9 + 7 * index) * 24 * hourMs).toISOString(),
          ]),
        ),
        hops: hopsDocument(snapshot.hops),
        overflow: 0,
      },
      denials: { gathered_at, ...denialsDocument(snapshot) },
    };
  };
  return {
    policy,
    pass,
    telemetryOf,
    record: (service, record) => telemetryOf(service).record(record),
    readHosts: () => Promise.all(peers.map(read)),
    openPolicy: async () => policy,
    probeAppPorts: async () => [],
    async readMetrics(service, host) {
      if (hostOf(service) !== host) return undefined;
      return renderMetrics(telemetryOf(service).snapshot(), { phase: 'logging', version: '0.2.0' });
    },
  };
}

function recordedOf(phase: Phase, now: number, hours: number): ObservedDocument['recorded'] {
  const time = (hoursAgo: number) => new Date(now - hoursAgo * hourMs).toISOString();
  if (phase === 'logging') return [{ phase, from: time(hours), to: time(0) }];
  return [
    { phase: 'logging', from: time(120), to: time(50) },
    { phase: 'enforcing', from: time(50), to: time(42) },
    { phase: 'logging', from: time(42), to: time(9) },
    { phase: 'enforcing', from: time(9), to: time(0) },
  ];
}

/** Every pair of the matrix has its key; npu-worker's is being replaced. */
function keysOf(service: string, { matrix, fleet }: Policy): StatusDocument['keys'] {
  const inbound: StatusDocument['keys']['inbound'] = {};
  const outbound: StatusDocument['keys']['outbound'] = {};
  const rotating = 'npu-worker';
  for (const other of fleet.services.keys()) {
    if (other === service) continue;
    if (other === rotating && service !== 'browser-service')
      inbound[other] = [{ kid: `${other}/4` }, { kid: `${other}/3` }];
    else inbound[other] = [{ kid: `${other}/3` }];
    if (matrix.of(other).callers.has(service)) outbound[other] = { kid: `${service}/3` };
  }
  return { inbound, outbound };
}

function happen(
  { caller, callee, method, path, rule, denial, ms }: Pattern,
  serial: number,
  telemetryOf: (service: string) => Telemetry,
  hostOf: (service: string) => string,
): void {
  // Spread around its mean, in a way that is the same in every run.
  const duration = ms * (0.6 + ((serial * 37) % 100) / 120) * (serial % 97 === 0 ? 6 : 1);
  const requestId = `${serial.toString(16).padStart(8, '0')}-5be1-4c57-9d0a-2f4c7e61a0b3`;
  const common = {
    requestId,
    callee,
    method,
    path,
    startedAtMs: 0,
    firstByteAtMs: duration / 2,
    endedAtMs: duration,
    status: 200,
  };
  const named = caller === undefined ? { caller: undefined, kid: undefined } : { caller, kid: `${caller}/3` };
  const hop = caller === undefined ? undefined : { sealed: true, host: hostOf(caller) };
  telemetryOf(callee).record(
    callRecord({
      ...common,
      ...named,
      hop,
      skewSeconds: caller === undefined ? undefined : 0.2,
      ...(denial === undefined
        ? {
            verdict: {
              allowed: true,
              rule: rule as string,
              ...(caller !== undefined && { caller, kid: `${caller}/3` }),
            },
          }
        : {
            verdict: { allowed: false, denial, ...(caller !== undefined && { caller, kid: `${caller}/3` }) },
          }),
    }),
  );
  if (caller === undefined) return;
  telemetryOf(caller).record(
    callRecord({
      ...common,
      ...named,
      direction: 'outbound',
      hop: { sealed: true, host: hostOf(callee) },
      endedAtMs: duration + 0.4,
      skewSeconds: undefined,
      verdict: { allowed: true, caller, kid: `${caller}/3`, rule: '' },
    }),
  );
}
