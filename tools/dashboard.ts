import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './build.ts';

/** What a panel shows: a title, PromQL with its legend, and Grafana's unit. */
interface Panel {
  readonly title: string;
  readonly description: string;
  readonly unit: 'reqps' | 's' | 'percentunit' | 'short' | 'bytes';
  readonly queries: readonly (readonly [legend: string, expr: string])[];
  readonly kind?: 'timeseries' | 'stat' | 'table';
}

const of = 'service=~"$service",host=~"$host"';
const inbound = `${of},direction="inbound"`;

const rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[] = [
  {
    title: 'Fleet',
    panels: [
      {
        title: 'Sidecars by phase',
        description: 'Which binary runs.',
        unit: 'short',
        kind: 'stat',
        queries: [['{{phase}}', `count by (phase) (countersign_phase_info{${of}})`]],
      },
      {
        title: 'Sealed connections between sidecars',
        description: 'Share of the connections between sidecars that are inside TLS.',
        unit: 'percentunit',
        kind: 'stat',
        queries: [
          [
            'sealed',
            `sum(countersign_hop_connections{${of},state="sealed",peer!="unknown"}) / sum(countersign_hop_connections{${of},peer!="unknown"})`,
          ],
        ],
      },
      {
        title: 'Sidecars that cannot be read',
        description: 'Their calls may fail as well.',
        unit: 'short',
        kind: 'stat',
        queries: [['down', 'count(up{job="countersign"} == 0) or vector(0)']],
      },
    ],
  },
  {
    title: 'Calls',
    panels: [
      {
        title: 'Calls by caller',
        description: 'Inbound, of proven callers; unknown: of nobody in particular.',
        unit: 'reqps',
        queries: [
          [
            '{{peer}} → {{service}}',
            `sum by (peer, service) (rate(countersign_requests_total{${inbound}}[5m]))`,
          ],
        ],
      },
      {
        title: 'Calls by status',
        description: '0: no answer.',
        unit: 'reqps',
        queries: [['{{code}}', `sum by (code) (rate(countersign_requests_total{${inbound}}[5m]))`]],
      },
      {
        title: 'Failed calls by route',
        description:
          'Answers of 500 and above, and calls without an answer, as a share of the calls of the route.',
        unit: 'percentunit',
        queries: [
          [
            '{{peer}} → {{service}} {{route}}',
            `sum by (peer, service, route) (rate(countersign_route_requests_total{${inbound},code=~"5..|0"}[5m])) / sum by (peer, service, route) (rate(countersign_route_requests_total{${inbound}}[5m]))`,
          ],
        ],
      },
      {
        title: 'Duration by route, median and 99th percentile',
        description: 'From the first byte of the request to the end of the answer.',
        unit: 's',
        queries: ['0.5', '0.99'].map((quantile) => [
          `${quantile} {{peer}} → {{service}} {{route}}`,
          `histogram_quantile(${quantile}, sum by (le, peer, service, route) (rate(countersign_route_duration_seconds_bucket{${inbound}}[5m])))`,
        ]),
      },
    ],
  },
  {
    title: 'Where time goes',
    panels: [
      {
        title: 'Time to first byte, 99th percentile',
        description:
          'From the head of the request to the first byte of the answer, of calls that were answered.',
        unit: 's',
        queries: [
          [
            '{{peer}} → {{service}}',
            `histogram_quantile(0.99, sum by (le, peer, service) (rate(countersign_time_to_first_byte_seconds_bucket{${inbound}}[5m])))`,
          ],
        ],
      },
      {
        title: 'Overhead, median and 99th percentile',
        description: 'What the sidecars themselves add to calls, see docs/operate.md.',
        unit: 's',
        queries: ['0.5', '0.99'].map((quantile) => [
          `${quantile} {{service}} {{host}} {{direction}}`,
          `histogram_quantile(${quantile}, sum by (le, service, host, direction) (rate(countersign_overhead_seconds_bucket{${of}}[5m])))`,
        ]),
      },
      {
        title: 'Calls in flight',
        description: 'Begun and not ended.',
        unit: 'short',
        queries: [['{{service}} {{host}} {{direction}}', `countersign_in_flight{${of}}`]],
      },
    ],
  },
  {
    title: 'Core',
    panels: [
      {
        title: 'Turns in flight',
        description: 'Also those whose client has hung up.',
        unit: 'short',
        queries: [['{{instance}}', 'countersign_core_turns_in_flight']],
      },
      {
        title: 'Time to first token, median and 99th percentile',
        description: 'Of streamed answers, by model.',
        unit: 's',
        queries: ['0.5', '0.99'].map((quantile) => [
          `${quantile} {{gen_ai_request_model}}`,
          `histogram_quantile(${quantile}, sum by (le, gen_ai_request_model) (rate(gen_ai_client_operation_time_to_first_chunk_seconds_bucket[5m])))`,
        ]),
      },
      {
        title: 'Tokens a second by caller',
        description: 'As models report them.',
        unit: 'short',
        queries: [
          [
            '{{caller}} {{model}} {{type}}',
            'sum by (caller, model, type) (rate(countersign_core_tokens_total[5m]))',
          ],
        ],
      },
      {
        title: 'Model calls that fail',
        description: 'By what they failed with.',
        unit: 'reqps',
        queries: [
          [
            '{{gen_ai_request_model}} {{error_type}}',
            'sum by (gen_ai_request_model, error_type) (rate(gen_ai_client_operation_duration_seconds_count{error_type!=""}[5m]))',
          ],
        ],
      },
      {
        title: 'Models that cool down',
        description: 'Their fallbacks answer.',
        unit: 'short',
        queries: [['{{instance}} {{model}}', 'countersign_core_model_cooling']],
      },
      {
        title: 'Exports that are lost',
        description: 'Spans, denials and lines of the access log, a second.',
        unit: 'short',
        queries: [
          [
            '{{service}} {{host}} {{signal}}',
            `sum by (service, host, signal) (rate(countersign_exports_dropped_total{${of}}[5m]))`,
          ],
        ],
      },
    ],
  },
  {
    title: 'Security',
    panels: [
      {
        title: 'Denials of proven callers',
        description: 'A service, proven by its key, is refused: the matrix may be wrong.',
        unit: 'reqps',
        queries: [
          [
            '{{peer}} → {{service}} {{reason}}',
            `sum by (peer, service, reason) (rate(countersign_requests_total{${inbound},verdict="denied",peer!="unknown"}[5m]))`,
          ],
        ],
      },
      {
        title: 'Denials of strangers',
        description: 'Calls that nobody proved.',
        unit: 'reqps',
        queries: [
          [
            '{{service}} {{reason}}',
            `sum by (service, reason) (rate(countersign_requests_total{${inbound},verdict="denied",peer="unknown"}[5m]))`,
          ],
        ],
      },
      {
        title: 'Handshakes that proved nothing',
        description: 'By result, see docs/operate.md.',
        unit: 'reqps',
        queries: [
          [
            '{{service}} {{direction}} {{peer}} {{result}}',
            `sum by (service, direction, peer, result) (rate(countersign_handshakes_total{${of},result!="proven"}[5m]))`,
          ],
        ],
      },
      {
        title: 'Clock skew, 99th percentile',
        description: "Positive when the caller's clock is behind; past 300 s calls are refused.",
        unit: 's',
        queries: [
          [
            '{{caller}} → {{service}}',
            `histogram_quantile(0.99, sum by (le, caller, service) (rate(countersign_clock_skew_seconds_bucket{${of}}[15m])))`,
          ],
        ],
      },
      {
        title: 'Key age',
        description: 'Keys are renewed every 90 days.',
        unit: 's',
        queries: [['{{kid}}', `max by (kid) (countersign_key_age_seconds{${of}})`]],
      },
      {
        title: 'Guard alarms in the last hour',
        description: 'See docs/guard.md.',
        unit: 'short',
        queries: [['{{instance}} {{kind}}', 'increase(countersign_guard_alarms_total[1h])']],
      },
    ],
  },
  {
    title: 'Sidecars',
    panels: [
      {
        title: 'CPU',
        description: 'Processor seconds a second.',
        unit: 'percentunit',
        queries: [['{{service}} {{host}}', `rate(process_cpu_seconds_total{${of}}[5m])`]],
      },
      {
        title: 'Resident memory',
        description: '',
        unit: 'bytes',
        queries: [['{{service}} {{host}}', `process_resident_memory_bytes{${of}}`]],
      },
      {
        title: 'Live nonces',
        description: 'The replay memory holds 16 million.',
        unit: 'short',
        queries: [['{{service}} {{host}}', `countersign_replay_entries{${of}}`]],
      },
      {
        title: 'Event loop, busy share',
        description: '',
        unit: 'percentunit',
        queries: [['{{service}} {{host}} {{worker}}', `countersign_event_loop_utilization{${of}}`]],
      },
    ],
  },
];

const columns = 24;
const height = 8;

/** The dashboard as Grafana imports it. */
export function dashboard(): object {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({ type: 'row', title: row.title, gridPos: { x: 0, y, w: columns, h: 1 }, panels: [] });
    y += 1;
    const perLine = row.panels.length % 3 === 0 ? 3 : 2;
    row.panels.forEach((panel, index) => {
      const width = columns / perLine;
      const line = Math.floor(index / perLine);
      const gridPos = { x: (index % perLine) * width, y: y + line * height, w: width, h: height };
      panels.push({
        type: panel.kind ?? 'timeseries',
        title: panel.title,
        description: panel.description,
        datasource: { type: 'prometheus', uid: '$datasource' },
        gridPos,
        fieldConfig: { defaults: { unit: panel.unit, min: panel.unit === 's' ? null : 0 }, overrides: [] },
        targets: panel.queries.map(([legendFormat, expr], at) => {
          return { refId: String.fromCharCode(65 + at), expr, legendFormat };
        }),
      });
    });
    y += Math.ceil(row.panels.length / perLine) * height;
  }
  const variable = (name: string) => ({
    name,
    type: 'query',
    datasource: { type: 'prometheus', uid: '$datasource' },
    query: `label_values(countersign_phase_info, ${name})`,
    includeAll: true,
    multi: true,
    refresh: 2,
  });
  return {
    title: 'Countersign',
    uid: 'countersign',
    tags: ['countersign'],
    schemaVersion: 39,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        variable('service'),
        variable('host'),
      ],
    },
    panels,
  };
}

/** Where the dashboard lies, and as what text. */
export const dashboardFile = join(root, 'docs/monitoring/dashboard.json');
export const dashboardText = (): string => `${JSON.stringify(dashboard(), null, 1)}\n`;

if (import.meta.main) await writeFile(dashboardFile, dashboardText());
