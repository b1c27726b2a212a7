import type { Readiness } from '../readiness/assess.ts';
import type { PairCalls } from '../readiness/pairs.ts';
import type { Refusals } from '../readiness/refusals.ts';
import { hours } from '../readiness/sidecars.ts';
import { printable, table } from './table.ts';

/** Permits that nobody used are listed up to this many; --json has them all. */
const mostPermits = 20;

/** A report for people: the answer last, where the terminal ends. */
export function reportText(readiness: Readiness): string {
  const { never_seen, warnings, blockers } = readiness;
  const sections = [
    section('Sidecars', sidecars(readiness)),
    section('Calls', calls(readiness.pairs)),
    section('Clock skew, caller behind callee', skew(readiness)),
    section('Keys', keys(readiness)),
    section('Sealed hops', hops(readiness)),
    section('Apps past their sidecar', apps(readiness)),
    section('What enforcing would refuse', refusals(readiness)),
    section('Never seen', unseen(never_seen)),
    warnings.length === 0 ? '' : section('Worth a look', list(warnings)),
    blockers.length === 0 ? '' : section('Why not', list(blockers)),
    readiness.ready ? 'Ready to enforce: yes\n' : 'Ready to enforce: no\n',
  ];
  return sections.filter((each) => each !== '').join('\n');
}

function section(title: string, body: string): string {
  const indented = body
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  return `${title}\n${indented}\n`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${printable(line)}`).join('\n');
}

function sidecars({ sidecars: all, required_logging_seconds }: Readiness): string {
  if (all.length === 0) return 'none was read';
  const rows = all.map((each) => [
    each.service,
    each.host,
    each.phase,
    each.to_swap ? `${hours(each.logging_seconds)} of ${hours(required_logging_seconds)}` : '-',
    each.matrix_loaded ? 'this one' : 'ANOTHER',
    each.fleet_loaded ? 'this one' : 'ANOTHER',
    each.ready ? 'yes' : 'NO',
    each.version,
  ]);
  return table([['service', 'host', 'phase', 'logged', 'matrix', 'fleet', 'ready', 'version'], ...rows]);
}

function calls(pairs: readonly PairCalls[]): string {
  if (pairs.length === 0) return 'none was recorded';
  const rows = pairs.map(({ caller, callee, calls: count, allowed, denied }) => [
    caller,
    callee,
    String(count),
    String(allowed),
    Object.entries(denied)
      .map(([reason, times]) => `${times} ${reason}`)
      .join(', ') || '0',
  ]);
  return table([['caller', 'callee', 'calls', 'allowed', 'denied'], ...rows]);
}

function skew({ skew: pairs }: Readiness): string {
  if (pairs.length === 0) return 'no proven call was recorded';
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  const rows = pairs.map(({ caller, callee, mean_seconds, min_seconds, max_seconds }) => [
    caller,
    callee,
    seconds(mean_seconds),
    seconds(min_seconds),
    seconds(max_seconds),
  ]);
  return table([['caller', 'callee', 'mean', 'least', 'most'], ...rows]);
}

function keys({ keys: pairs }: Readiness): string {
  const wrong = pairs.filter(({ problems }) => problems.length > 0);
  const good = `${pairs.length - wrong.length} of ${pairs.length} pairs have the keys that they need`;
  return [good, ...wrong.flatMap(({ problems }) => problems.map((each) => `- ${each}`))].join('\n');
}

function hops({ hops: pairs }: Readiness): string {
  if (pairs.length === 0) return 'no call between two sidecars was recorded';
  const rows = pairs.map(({ caller, caller_host, callee, callee_host, sealed, plain, unproven, problem }) => [
    `${caller} ${caller_host}`,
    `${callee} ${callee_host}`,
    String(sealed),
    String(plain),
    String(unproven),
    problem ?? 'sealed',
  ]);
  return table([['caller', 'callee', 'sealed', 'plain', 'unproven', ''], ...rows]);
}

function apps({ app_ports }: Readiness): string {
  const open = app_ports.filter((each) => each.open);
  if (open.length === 0) return `none of ${app_ports.length} can be reached`;
  return open.map(({ service, host, port, how }) => `- ${service} at ${host}:${port}: ${how}`).join('\n');
}

function refusals({ would_refuse, mended }: Readiness): string {
  const lines = would_refuse.map((each) => refusal(each));
  if (lines.length === 0) lines.push('nothing that was recorded');
  if (mended > 0) lines.push(`(${mended} calls were denied when they were made, and are allowed by now)`);
  return lines.join('\n');
}

function refusal(each: Refusals): string {
  const who = each.caller ?? (each.claimed === undefined ? '(unknown)' : `(claims to be ${each.claimed})`);
  const why = each.why === undefined ? '' : `: ${each.why}`;
  const head = `${each.count} × ${who} → ${each.callee} ${each.method} ${each.path}  ${each.reason}  [${each.state}${why}], last ${each.last}`;
  return `${printable(head)}\n    ${printable(each.detail)}`;
}

function unseen({ services, permits }: Readiness['never_seen']): string {
  const lines = [`services: ${services.length === 0 ? 'none' : services.join(', ')}`];
  lines.push(`permits: ${permits.length === 0 ? 'none' : permits.length}`);
  for (const { callee, rule } of permits.slice(0, mostPermits)) lines.push(`- at ${callee}: ${rule}`);
  if (permits.length > mostPermits)
    lines.push(`… and ${permits.length - mostPermits} more (--json has them all)`);
  return lines.join('\n');
}
