import { parseYaml } from '../../config/load.ts';
import { compileMatrix } from '../../sidecar/config/authorization.ts';
import type { Fleet } from '../../sidecar/config/fleet.ts';
import type { Policy, Sources } from '../../sidecar/console/sources.ts';
import type { HostState } from '../../sidecar/telemetry/documents.ts';
import { readMetrics } from '../../sidecar/telemetry/metrics-document.ts';

/** A fleet of many services, each with one host and rules for ten callers; every fifth rule was used. */
export function largeFleet(services: number, rulesEach: number): Sources {
  const names = Array.from({ length: services }, (_, index) => `service-${String(index).padStart(4, '0')}`);
  const nameAt = (index: number) => names[index % services] as string;
  const callers = 10;
  const text = names
    .map((name, index) => {
      const lists = Array.from({ length: callers }, (_, at) => {
        const rules = Array.from({ length: rulesEach / callers }, (_, rule) => `GET /api/${at}-${rule}/*`);
        return `      ${nameAt(index + at * 7 + 1)}: [${rules.join(', ')}]`;
      });
      return `  ${name}:\n    callers:\n${lists.join('\n')}\n`;
    })
    .join('');
  const source = parseYaml('authorization.yaml', `services:\n${text}`);
  const hostOf = (index: number) => `10.0.${index >> 8}.${index & 255}`;
  const fleet: Fleet = {
    services: new Map(
      names.map((name, index) => [name, { name, hosts: [hostOf(index)], inbound: 15006, app: 8080 }]),
    ),
    coveredFields: [],
    operators: [],
    hash: 'fleet',
  };
  const policy: Policy = { file: 'authorization.yaml', source, matrix: compileMatrix(source, fleet), fleet };
  const now = Date.now();
  const [first, last] = [new Date(now - 86_400_000).toISOString(), new Date(now).toISOString()];
  const hosts = names.map((service, index): HostState => {
    const caller = nameAt(index + 1);
    const calls = {
      direction: 'inbound',
      peer: caller,
      verdict: 'allowed',
      reason: '',
      code: 200,
      count: 600,
    } as const;
    return {
      from: `http://${hostOf(index)}:15000`,
      status: {
        gathered_at: last,
        service,
        host: hostOf(index),
        phase: 'logging',
        version: '0.2.0',
        build: 'b',
        matrix: policy.matrix.hash,
        fleet: 'fleet',
        keys: { inbound: { [caller]: [{ kid: `${caller}/1` }] }, outbound: {} },
        hops: [],
        uptime_seconds: 60,
        ready: true,
        workers: 1,
        app_exposed_on: [],
        app_listens: true,
      },
      metrics: { ...readMetrics(''), calls: [calls] },
      observed: {
        gathered_at: last,
        since: first,
        phase: 'logging',
        recorded: [{ phase: 'logging', from: first, to: last }],
        observations: [
          {
            direction: 'inbound',
            caller,
            claimed: undefined,
            callee: service,
            method: 'GET',
            path: '/api/0-0/*',
            verdict: 'allowed',
            reason: '',
            count: 600,
            first,
            last,
          },
        ],
        skew: [],
        keys_first_seen: {},
        hops: [],
        overflow: 0,
      },
      denials: { denials: [], signed: [] },
    };
  });
  return {
    readHosts: async () => hosts,
    openPolicy: async () => policy,
    probeAppPorts: async () => [],
    readMetrics: async () => undefined,
  };
}
