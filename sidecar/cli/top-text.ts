import { styleText } from 'node:util';
import type { HostRow, HostsDocument } from '../fleet-view/hosts.ts';
import { durationText, rateText, shareText, unknown } from '../fleet-view/quantities.ts';
import { type Column, cut, fittedTable } from './fitted-table.ts';
import { printable } from './table.ts';

/** Where a picture goes. */
export interface Page {
  readonly columns: number;
  readonly rows: number;
  /** Whether it may have colours. */
  readonly colour: boolean;
}

const columns: readonly Column[] = [
  { title: 'SERVICE', flexible: true },
  { title: 'HOST', flexible: true },
  { title: 'PHASE' },
  { title: 'APP' },
  { title: '/S', right: true },
  { title: 'OK', right: true },
  { title: 'P50', right: true },
  { title: 'P99', right: true },
  { title: 'DENY', right: true },
  { title: 'SEAL', right: true },
];

/** Success below this share is red. */
const goodSuccess = 0.99;

type Colour = 'red' | 'yellow' | 'dim';

/**
 * The hosts of a fleet as a table, with one sentence above it; what is wrong stands first when there are more hosts than lines.
 *
 * @param further lines that have to stay below it, such as denials
 */
export function topLines(document: HostsDocument, page: Page, further: readonly string[] = []): string[] {
  const { hosts } = document;
  const room = Math.max(1, page.rows - 3 - (further.length === 0 ? 0 : further.length + 1));
  const shown =
    hosts.length <= room ? hosts : [...hosts].sort((a, b) => rank(a) - rank(b)).slice(0, room - 1);
  const left = hosts.length - shown.length;
  const [titles = '', ...rows] = fittedTable(columns, shown.map(cellsOf), page.columns, 1);
  const paint = (colour: Colour | undefined, line: string) =>
    colour === undefined || !page.colour ? line : styleText(colour, line, { validateStream: false });
  const lines = [
    summary(document),
    '',
    page.colour ? styleText('bold', titles, { validateStream: false }) : titles,
    ...rows.map((line, at) => paint(colourOf(shown[at] as HostRow), line)),
    ...(left > 0 ? [paint('dim', `… and ${left} more hosts`)] : []),
  ];
  if (further.length > 0) lines.push('', ...further);
  return lines.map((line) => (page.colour ? line : cut(line, page.columns)));
}

/** `6 hosts: 5 logging, 1 enforcing; 42 calls/s; npu-worker 172.16.168.22: app down` */
function summary({ hosts, taken_at }: HostsDocument): string {
  const count = (phase: string) => hosts.filter((row) => row.phase === phase).length;
  const phases = ['logging', 'enforcing'].flatMap((phase) =>
    count(phase) === 0 ? [] : [`${count(phase)} ${phase}`],
  );
  const rate = hosts.reduce((sum, row) => sum + (row.inbound?.per_second ?? 0), 0);
  const wrong = hosts.flatMap((row) => faultOf(row) ?? []);
  const more = wrong.length > 1 ? `, and ${wrong.length - 1} more` : '';
  const fault = wrong.length === 0 ? '' : `; ${printable(wrong[0] as string)}${more}`;
  return `${taken_at.slice(11, 19)}Z  ${hosts.length} hosts: ${[...phases, `${rateText(rate)} calls/s`].join(', ')}${fault}`;
}

function faultOf(row: HostRow): string | undefined {
  const name = `${row.service} ${row.host}`;
  if (row.health === 'unreachable') return `${name}: ${row.problem ?? 'unreachable'}`;
  if (row.app === 'down' || row.app === 'slow') return `${name}: app ${row.app}`;
  if (row.health === 'not-ready') return `${name}: not ready`;
  return undefined;
}

/** The worst first. */
function rank(row: HostRow): number {
  const colour = colourOf(row);
  return colour === 'red' ? 0 : colour === 'yellow' ? 1 : 2;
}

function colourOf({
  health,
  app,
  inbound,
  sealed_share,
  handshake_failures = 0,
}: HostRow): Colour | undefined {
  if (health === 'unreachable' || app === 'down') return 'red';
  if (inbound?.success_rate !== undefined && inbound.success_rate < goodSuccess) return 'red';
  if (health === 'not-ready' || app === 'slow' || handshake_failures > 0) return 'yellow';
  if (sealed_share !== undefined && sealed_share < 1) return 'yellow';
  return (inbound?.denied_per_second ?? 0) > 0 ? 'yellow' : undefined;
}

function cellsOf({ service, host, health, phase, app, inbound, outbound, sealed_share }: HostRow): string[] {
  // A service that only calls has no calls to count but its own.
  const traffic = app === 'none' ? outbound : inbound;
  return [
    service,
    host,
    health === 'ready' ? (phase ?? unknown) : health === 'not-ready' ? 'starting' : 'GONE',
    app === 'down' ? 'DOWN' : app === 'none' || app === 'unknown' ? unknown : app,
    rateText(traffic?.per_second),
    shareText(traffic?.success_rate),
    durationText(traffic?.p50_seconds),
    durationText(traffic?.p99_seconds),
    rateText(traffic?.denied_per_second),
    shareText(sealed_share),
  ];
}
