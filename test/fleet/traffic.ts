import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Call, Lost, Plan, TrafficLine } from './guest/traffic.ts';
import type { Guest } from './guest.ts';

const planFile = 'var/lib/fleet-test/plan.json';
const logFile = 'var/lib/fleet-test/traffic.jsonl';

interface Matrix {
  readonly services: Record<
    string,
    { readonly public?: readonly string[]; readonly callers?: Record<string, readonly string[]> }
  >;
}

/** One call for every rule of the matrix, by caller: the traffic of a fleet in which everybody does their job. */
export function callsAllowedBy(matrixText: string): Map<string, Call[]> {
  const { services } = parse(matrixText) as Matrix;
  const calls = new Map<string, Call[]>(Object.keys(services).map((name) => [name, []]));
  for (const [callee, { public: open = [], callers = {} }] of Object.entries(services)) {
    for (const [caller, rules] of Object.entries(callers)) {
      for (const rule of [...rules, ...open]) calls.get(caller)?.push(callOf(callee, rule));
    }
  }
  return calls;
}

function callOf(callee: string, rule: string): Call {
  const [methods, pattern] = rule.split(/\s+/, 2) as [string, string];
  const method = methods === '*' ? 'GET' : (methods.split(',', 1)[0] as string);
  const path = pattern.replace('/**', '/fleet/7').replaceAll('*', '42');
  const question = {
    model: 'qwen2.5-coder-7b-instruct',
    messages: [{ role: 'user', content: 'anybody there?' }],
  };
  const body = method === 'POST' ? JSON.stringify(question) : undefined;
  const form = path.length % 2 === 0 ? 'proxy' : 'host';
  return { callee, method, path, form, ...(body === undefined ? {} : { body }) };
}

/** What came of the fleet's calls in a span of time. */
export interface Tally {
  readonly served: number;
  readonly lost: readonly (Lost & { readonly caller: string })[];
}

/** The steady traffic of all hosts, started and read from outside. */
export class Traffic {
  readonly #guests: readonly Guest[];

  constructor(guests: readonly Guest[]) {
    this.#guests = guests;
  }

  /** Writes each host's plan; the unit fleet-traffic.service in the host makes the calls. */
  async plan(calls: ReadonlyMap<string, readonly Call[]>, everyMs: number): Promise<void> {
    for (const guest of this.#guests) {
      const plan: Plan = { outbound: 15001, everyMs, calls: calls.get(guest.name) ?? [] };
      await guest.write(planFile, JSON.stringify(plan));
    }
  }

  /** Everything since `fromMs` (milliseconds since the epoch, of the calls' start for lost ones). */
  async since(fromMs: number, untilMs = Number.POSITIVE_INFINITY): Promise<Tally> {
    const tallies = await Promise.all(this.#guests.map((guest) => tally(guest, fromMs, untilMs)));
    return {
      served: tallies.reduce((sum, one) => sum + one.served, 0),
      lost: tallies.flatMap((one) => one.lost),
    };
  }
}

async function tally(guest: Guest, fromMs: number, untilMs: number): Promise<Tally> {
  const text = await readFile(join(guest.root, logFile), 'utf8').catch(() => '');
  let served = 0;
  const lost: (Lost & { caller: string })[] = [];
  for (const row of text.split('\n')) {
    if (row === '') continue;
    const line = JSON.parse(row) as TrafficLine;
    if (line.at > fromMs && line.at <= untilMs) served += line.served;
    for (const one of line.lost) {
      if (one.at >= fromMs && one.at < untilMs) lost.push({ ...one, caller: guest.name });
    }
  }
  return { served, lost };
}
