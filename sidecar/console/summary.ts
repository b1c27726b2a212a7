import type { HostRow } from '../fleet-view/hosts.ts';
import type { Readiness } from '../readiness/assess.ts';

/** The whole fleet in one look. */
export interface Summary {
  readonly hosts: number;
  readonly logging: number;
  readonly enforcing: number;
  readonly unreachable: number;
  /** Until every logging sidecar has logged for the required time; 0 when all have, absent when none logs. */
  readonly ready_in_seconds?: number;
  /** What else stands in the way of enforcing, or, where all enforce, needs a look. */
  readonly in_the_way: number;
  readonly sentence: string;
}

/** `5 of 6 hosts are logging; ready to enforce in 3 h 12 min; 2 things are in the way`. */
export function summaryOf(hosts: readonly HostRow[], readiness: Readiness): Summary {
  const count = (of: (row: HostRow) => boolean) => hosts.filter(of).length;
  const logging = count(({ phase }) => phase === 'logging');
  const enforcing = count(({ phase }) => phase === 'enforcing');
  const unreachable = count(({ phase }) => phase === undefined);
  const short = readiness.sidecars
    .filter(({ phase, to_swap }) => phase === 'logging' && to_swap)
    .map(({ logging_seconds }) => Math.max(0, readiness.required_logging_seconds - logging_seconds));
  const waitSeconds = short.length === 0 ? undefined : Math.max(...short);
  // Those that wait for their time are told by the time.
  const inTheWay = readiness.blockers.length - short.filter((seconds) => seconds > 0).length;
  const counts = { hosts: hosts.length, logging, enforcing, unreachable, in_the_way: inTheWay };
  return {
    ...counts,
    ...(waitSeconds !== undefined && { ready_in_seconds: waitSeconds }),
    sentence: sentenceOf(counts, waitSeconds),
  };
}

function sentenceOf(
  { hosts, logging, enforcing, in_the_way }: Omit<Summary, 'sentence'>,
  waitSeconds: number | undefined,
): string {
  if (hosts === 0) return 'No host was read';
  const all = (what: string) => `${hosts === 1 ? 'The only host is' : `All ${hosts} hosts are`} ${what}`;
  const some = (n: number, what: string) => `${n} of ${hosts} hosts ${n === 1 ? 'is' : 'are'} ${what}`;
  const parts: string[] = [];
  if (logging === hosts) parts.push(all('logging'));
  else if (enforcing === hosts) parts.push(all('enforcing'));
  else {
    const [most, least] = enforcing > logging ? ['enforcing', 'logging'] : ['logging', 'enforcing'];
    const [high, low] = [Math.max(enforcing, logging), Math.min(enforcing, logging)];
    parts.push(low === 0 ? some(high, most) : `${some(high, most)}, ${low} ${least}`);
  }
  const things = `${in_the_way} ${in_the_way === 1 ? 'thing' : 'things'}`;
  const verb = in_the_way === 1 ? 'is' : 'are';
  if (logging > 0) {
    const time = waitSeconds === undefined || waitSeconds === 0 ? '' : ` in ${spanText(waitSeconds)}`;
    if (time !== '' || in_the_way === 0) parts.push(`ready to enforce${time}`);
    if (in_the_way > 0) parts.push(`${things} ${verb} in the way`);
  } else if (enforcing > 0)
    parts.push(
      in_the_way > 0 ? `${things} ${in_the_way === 1 ? 'needs' : 'need'} a look` : 'nothing needs a look',
    );
  return parts.join('; ');
}

/** A length of time in two units, rounded up: `3 h 12 min`. */
export function spanText(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}
