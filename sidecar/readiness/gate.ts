import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import type { Matrix } from '../policy/matrix.ts';
import type { HostState, StatusDocument } from '../telemetry/documents.ts';
import type { Readiness } from './assess.ts';
import { rejudge } from './rejudge.ts';
import type { SidecarState } from './sidecars.ts';

/** What the MAC is for: a key that signs gate files signs nothing else. */
export const gatePurpose = 'countersign gate 2';
/** A gate file is good for a day. */
export const gateGoodForMs = 24 * 3600 * 1000;

const text = z.string().min(1);
const count = z.int().min(0);
const time = z.iso.datetime({ error: 'a time in UTC' });

/** A gate file: what was found ready, on what evidence, until when. */
export const gateSchema = z.strictObject({
  purpose: z.literal(gatePurpose),
  created: time,
  expires: time,
  matrix: text,
  fleet: text,
  /** SHA-256 of the enforcing executables that may be installed, hex. */
  enforcing: z.array(text).min(1),
  sidecars: z.array(
    z.strictObject({
      service: text,
      host: text,
      /** The build that logged, as `/status` names it. */
      build: text,
      /** Seconds of logging that it was found ready on. */
      logging_seconds: z.number().min(0),
      gathered_at: time,
      /** Callee to the key id that it signs with. */
      outbound: z.record(z.string(), z.string()),
      /** Caller to the key ids that it accepts. */
      inbound: z.record(z.string(), z.array(z.string())),
    }),
  ),
  /** Recorded inbound calls of each pair; caller `unknown` where none was proven. */
  calls: z.array(z.strictObject({ caller: text, callee: text, calls: count, allowed: count })),
  /** Calls over the sealed hop, by the hosts of both ends. */
  sealed: z.array(
    z.strictObject({ caller: text, caller_host: text, callee: text, callee_host: text, calls: count }),
  ),
  /** Calls that were allowed and seen: only failures of these can mean that enforcing broke something. */
  seen: z.array(z.strictObject({ caller: text, callee: text, method: text, path: text })),
  /** The skew of each pair, in seconds: which `outside-window` a clock explains. */
  skew: z.array(
    z.strictObject({ caller: text, callee: text, min_seconds: z.number(), max_seconds: z.number() }),
  ),
  mac: z.string(),
});

export type Gate = z.output<typeof gateSchema>;

export interface GateInput {
  readonly readiness: Readiness;
  readonly states: readonly HostState[];
  readonly enforcing: readonly string[];
  readonly key: Uint8Array;
  readonly matrix: Matrix;
  readonly nowMs: number;
}

/** Makes a gate file of a report that says ready. */
export function makeGate(input: GateInput): Gate {
  const { readiness, states, enforcing, key, nowMs } = input;
  if (!readiness.ready) throw new RangeError('a gate file is made of a report that says ready');
  const body: Omit<Gate, 'mac'> = {
    purpose: gatePurpose,
    created: new Date(nowMs).toISOString(),
    expires: new Date(nowMs + gateGoodForMs).toISOString(),
    matrix: readiness.matrix,
    fleet: readiness.fleet,
    enforcing: [...enforcing],
    sidecars: readiness.sidecars.flatMap((sidecar) => (sidecar.to_swap ? [pinned(sidecar, states)] : [])),
    calls: readiness.pairs.map(({ caller, callee, calls, allowed }) => ({ caller, callee, calls, allowed })),
    sealed: readiness.hops.map(({ caller, caller_host, callee, callee_host, sealed }) => ({
      caller,
      caller_host,
      callee,
      callee_host,
      calls: sealed,
    })),
    seen: allowedAndSeen(states, input.matrix),
    skew: readiness.skew.map(({ caller, callee, min_seconds, max_seconds }) => ({
      caller,
      callee,
      min_seconds,
      max_seconds,
    })),
  };
  return { ...body, mac: macOf(body, key) };
}

/** The MAC of a gate file, over all of it but `mac`, with the keys of every object in order. */
export function macOf(body: Omit<Gate, 'mac'>, key: Uint8Array): string {
  return createHmac('sha256', key)
    .update(`${gatePurpose}\n${canonical(body)}`)
    .digest('base64');
}

export function macHolds(gate: Gate, key: Uint8Array): boolean {
  const { mac, ...body } = gate;
  const expected = Buffer.from(macOf(body, key), 'base64');
  const received = Buffer.from(mac, 'base64');
  return received.length === expected.length && timingSafeEqual(received, expected);
}

function pinned(sidecar: SidecarState, states: readonly HostState[]): Gate['sidecars'][number] {
  const status = states.find(({ from }) => from === sidecar.from)?.status as StatusDocument;
  const { build, logging_seconds } = sidecar;
  return { ...loadedBy(status), build, logging_seconds, gathered_at: status.gathered_at as string };
}

/** What one sidecar has loaded, in the form in which the gate file pins it. */
export function loadedBy(
  status: StatusDocument,
): Pick<Gate['sidecars'][number], 'service' | 'host' | 'outbound' | 'inbound'> {
  return {
    service: status.service,
    host: status.host,
    outbound: Object.fromEntries(
      Object.entries(status.keys.outbound).map(([callee, { kid }]) => [callee, kid]),
    ),
    inbound: Object.fromEntries(
      Object.entries(status.keys.inbound).map(([caller, keys]) => [
        caller,
        keys.map(({ kid }) => kid).sort(),
      ]),
    ),
  };
}

/** What was allowed when it was called, and is by the matrix that is to be enforced. */
function allowedAndSeen(states: readonly HostState[], matrix: Matrix): Gate['seen'] {
  const seen = new Map<string, Gate['seen'][number]>();
  for (const row of states.flatMap(({ observed }) => observed?.observations ?? [])) {
    if (row.direction !== 'inbound' || row.verdict !== 'allowed' || row.caller === undefined) continue;
    if (rejudge(row, matrix.of(row.callee))?.allowed !== true) continue;
    const { caller, callee, method, path } = row;
    seen.set(`${caller}\n${callee}\n${method}\n${path}`, { caller, callee, method, path });
  }
  return [...seen.values()];
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}
