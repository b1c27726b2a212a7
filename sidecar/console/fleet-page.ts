import { type HostRow, hosts } from '../fleet-view/hosts.ts';
import type { Traffic } from '../fleet-view/traffic.ts';
import type { Reading } from './fleet-watch.ts';
import { type HistoryDocument, inboundTraffic } from './history.ts';
import { readinessOf } from './readiness-page.ts';
import { type Summary, summaryOf } from './summary.ts';

/** Page 1: how the fleet is. */
export interface FleetPage {
  readonly taken_at: string;
  readonly summary: Summary;
  /** All calls that came in, the whole fleet together. */
  readonly traffic: Traffic;
  readonly hosts: readonly HostRow[];
  readonly history: HistoryDocument;
  /** Why the files in use are older than those on disk. */
  readonly problem?: string;
}

export function fleetPage(reading: Reading): FleetPage {
  const { previous, current, policy, history, problem } = reading;
  const { taken_at, hosts: rows } = hosts(previous, current, policy.fleet);
  return {
    taken_at,
    summary: summaryOf(rows, readinessOf(reading)),
    traffic: inboundTraffic(previous, current),
    hosts: rows,
    history: history.document(),
    ...(problem !== undefined && { problem }),
  };
}
