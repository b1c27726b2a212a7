import * as z from 'zod';
import { type HandshakeFailure, handshakeFailures, handshakeResults } from '../terms/handshake.ts';
import type { HopCounts, HopRow, Occurrences } from './hop-table.ts';

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-23T12:00:00Z (RFC 3339)' });
const direction = z.enum(['inbound', 'outbound']);
const count = z.number().min(0);
const occurrences = z.object({ count, first: time, last: time }).optional();

/** `hops` of `/observed`: calls by host of a peer, and by how they travelled. */
export const observedHopsSchema = z
  .array(
    z.object({
      direction,
      peer: z.string(),
      host: z.string(),
      /** Inside TLS with the pair key. */
      sealed: occurrences,
      /** Signed, in the clear. */
      plain: occurrences,
      /** Outbound: the host did not prove the pair key. */
      unproven: occurrences,
      /** Why, the last time. */
      failure: z.string().optional(),
    }),
  )
  .default([]);

/** `hops` of `/status`: open connections, and handshakes since the start. */
export const statusHopsSchema = z
  .array(
    z.object({
      direction,
      peer: z.string(),
      sealed: count,
      plain: count,
      /** By result; results that never came are left out. */
      handshakes: z.record(z.string(), count),
    }),
  )
  .default([]);

export type ObservedHops = z.output<typeof observedHopsSchema>;
export type ObservedHop = ObservedHops[number];
export type StatusHops = z.output<typeof statusHopsSchema>;

export function hopsDocument(rows: readonly HopRow[]): ObservedHops {
  return rows.map(({ direction, peer, host, sealed, plain, unproven, failure }) => ({
    direction,
    peer,
    host,
    ...(sealed.count > 0 && { sealed: occurrencesDocument(sealed) }),
    ...(plain.count > 0 && { plain: occurrencesDocument(plain) }),
    ...(unproven.count > 0 && { unproven: occurrencesDocument(unproven) }),
    ...(failure !== undefined && { failure }),
  }));
}

export function hopsOf(document: ObservedHops): HopRow[] {
  return document.map(({ sealed, plain, unproven, failure, ...rest }) => ({
    ...rest,
    sealed: occurrencesOf(sealed),
    plain: occurrencesOf(plain),
    unproven: occurrencesOf(unproven),
    failure:
      failure !== undefined && Object.hasOwn(handshakeFailures, failure)
        ? (failure as HandshakeFailure)
        : undefined,
  }));
}

export function statusHops(counts: readonly HopCounts[]): StatusHops {
  return counts.map(({ direction, peer, sealed, plain, handshakes }) => ({
    direction,
    peer,
    sealed,
    plain,
    handshakes: Object.fromEntries(
      handshakeResults
        .filter((result) => handshakes[result] > 0)
        .map((result) => [result, handshakes[result]]),
    ),
  }));
}

function occurrencesDocument({ count, first, last }: Occurrences) {
  return { count, first: new Date(first).toISOString(), last: new Date(last).toISOString() };
}

function occurrencesOf(document: ObservedHop['sealed']): Occurrences {
  if (document === undefined) return { count: 0, first: 0, last: 0 };
  const { count, first, last } = document;
  return { count, first: Date.parse(first), last: Date.parse(last) };
}
