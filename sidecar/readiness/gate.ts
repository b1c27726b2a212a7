import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import type { HostState } from '../telemetry/documents.ts';
import type { Readiness } from './assess.ts';

/** What the MAC is for: a key that signs go files signs nothing else. */
export const gatePurpose = 'countersign gate 1';
/** A go file is good for a day at most. */
export const longestGateMs = 24 * 3600 * 1000;

const text = z.string().min(1);
const time = z.iso.datetime({ error: 'a time in UTC' });

/** A go file: what was found ready, on what evidence, until when. */
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
      /** Callee to the key id that it signs with. */
      outbound: z.record(z.string(), z.string()),
      /** Caller to the key ids that it accepts. */
      inbound: z.record(z.string(), z.array(z.string())),
    }),
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
  /** How long the file is good for, in milliseconds; at most 24 h. */
  readonly goodForMs: number;
  readonly nowMs: number;
}

/** Makes a go file of a report that says ready. */
export function makeGate(input: GateInput): Gate {
  const { readiness, states, enforcing, key, nowMs } = input;
  if (!readiness.ready) throw new RangeError('a go file is made of a report that says ready');
  const body: Omit<Gate, 'mac'> = {
    purpose: gatePurpose,
    created: new Date(nowMs).toISOString(),
    expires: new Date(nowMs + Math.min(input.goodForMs, longestGateMs)).toISOString(),
    matrix: readiness.matrix,
    fleet: readiness.fleet,
    enforcing: [...enforcing],
    sidecars: states.flatMap(({ status }) => (status === undefined ? [] : [loadedBy(status)])),
    seen: allowedAndSeen(states),
    skew: readiness.skew.map(({ caller, callee, min_seconds, max_seconds }) => ({
      caller,
      callee,
      min_seconds,
      max_seconds,
    })),
  };
  return { ...body, mac: macOf(body, key) };
}

/** The MAC of a go file, over all of it but `mac`, with the keys of every object in order. */
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

/** What one sidecar has loaded, in the form in which the go file pins it. */
export function loadedBy(status: NonNullable<HostState['status']>): Gate['sidecars'][number] {
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

function allowedAndSeen(states: readonly HostState[]): Gate['seen'] {
  const seen = new Map<string, Gate['seen'][number]>();
  for (const row of states.flatMap(({ observed }) => observed?.observations ?? [])) {
    if (row.direction !== 'inbound' || row.verdict !== 'allowed' || row.caller === undefined) continue;
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
