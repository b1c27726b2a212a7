import type { HostState, Phase } from '../telemetry/documents.ts';
import { type RecordedSpan, spansOf } from '../telemetry/recorded-spans.ts';
import type { Reading } from './fleet-watch.ts';

/** How long after a swap to enforcing the guard may swap back, unless guard.yaml says otherwise. */
const bakeMs = 24 * 3_600_000;
/** Spans that a timeline shows: the newest. */
const mostSpans = 60;

/** One sidecar on the way from logging to enforcing. */
export interface HostRollout {
  readonly service: string;
  readonly host: string;
  readonly phase: Phase;
  readonly version: string;
  readonly build: string;
  /** When which phase served, oldest first. */
  readonly spans: readonly { readonly phase: Phase; readonly from: string; readonly to: string }[];
  /** Since when it has enforced, and until when its guard may swap it back. */
  readonly enforcing_since?: string;
  readonly bake_until?: string;
  /** Swaps from enforcing back to logging that it remembers. */
  readonly rollbacks: readonly { readonly at: string }[];
}

/** Page 7. It is made of what the sidecars recorded of themselves, for eight days. */
export interface RolloutPage {
  readonly taken_at: string;
  readonly hosts: readonly HostRollout[];
  readonly builds: readonly {
    readonly version: string;
    readonly phase: Phase;
    readonly build: string;
    readonly hosts: number;
  }[];
  readonly unreachable: readonly string[];
}

export function rolloutPage({ current }: Reading): RolloutPage {
  const hosts = current.hosts.flatMap((state) => hostRollout(state, current.takenAtMs));
  const builds = Map.groupBy(hosts, ({ phase, build }) => `${phase} ${build}`);
  return {
    taken_at: new Date(current.takenAtMs).toISOString(),
    hosts,
    builds: [...builds.values()].map((group) => {
      const { version, phase, build } = group[0] as HostRollout;
      return { version, phase, build, hosts: group.length };
    }),
    unreachable: current.hosts
      .filter(({ status }) => status === undefined)
      .map(({ target, from }) => (target === undefined ? from : `${target.service}@${target.host}`)),
  };
}

function hostRollout({ status, observed }: HostState, nowMs: number): HostRollout[] {
  if (status === undefined) return [];
  const spans = joined(spansOf(observed?.recorded ?? []));
  const last = spans.at(-1);
  const since = status.phase === 'enforcing' && last?.phase === 'enforcing' ? last.fromMs : undefined;
  const time = (ms: number) => new Date(ms).toISOString();
  const { service, host, phase, version, build } = status;
  return [
    {
      service,
      host,
      phase,
      version,
      build,
      spans: spans
        .slice(-mostSpans)
        .map(({ phase, fromMs, toMs }) => ({ phase, from: time(fromMs), to: time(toMs) })),
      ...(since !== undefined && { enforcing_since: time(since) }),
      ...(since !== undefined && since + bakeMs > nowMs && { bake_until: time(since + bakeMs) }),
      rollbacks: spans.flatMap((span, index) =>
        span.phase === 'logging' && spans[index - 1]?.phase === 'enforcing'
          ? [{ at: time(span.fromMs) }]
          : [],
      ),
    },
  ];
}

/** Spans of one phase that follow each other are one: a restart is no swap. */
function joined(spans: readonly RecordedSpan[]): RecordedSpan[] {
  const found: RecordedSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = found.at(-1);
    if (last !== undefined && last.phase === span.phase)
      found[found.length - 1] = { ...last, toMs: Math.max(last.toMs, span.toMs) };
    else found.push(span);
  }
  return found;
}
