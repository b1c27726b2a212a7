import { useEffect, useState } from 'preact/hooks';
import { Empty, Wire } from '../../../../web/parts.tsx';
import { linkTo } from '../../../../web/place.ts';
import { counted } from '../../../../web/text.ts';
import type { Edge } from '../../../fleet-view/edges.ts';
import { durationText, rateText, shareText } from '../../../fleet-view/quantities.ts';
import type { Focus } from '../../focus.ts';
import type { EdgeRoutes } from '../../route-list.ts';
import { ask } from '../live.ts';
import type { PageProps } from '../page-props.ts';
import { EdgeDrawing } from '../parts/edge-drawing.tsx';
import { LivePage } from '../parts/page.tsx';
import { RouteTable } from '../parts/route-table.tsx';
import { ServiceFilter } from '../parts/service-filter.tsx';

/** Page 2: who calls whom. */
export function Graph(props: PageProps) {
  const service = props.query.get('service') ?? '';
  return (
    <LivePage<Focus> path={`/api/graph?service=${encodeURIComponent(service)}`} props={props}>
      {(focus) => <GraphView focus={focus} props={props} />}
    </LivePage>
  );
}

export const stateTexts: Readonly<Record<Edge['state'], string>> = {
  used: 'used',
  'never-seen': 'permitted, never seen',
  'not-permitted': 'seen, not permitted',
  stranger: 'not proven',
};

function GraphView({ focus, props }: { readonly focus: Focus; readonly props: PageProps }) {
  const { services, around, edges_total } = focus;
  // Public routes that nobody has called are no edges that anybody looks for.
  const edges = focus.edges.filter(
    ({ state, allowed, denied }) => state !== 'stranger' || allowed + denied > 0,
  );
  const service = props.query.get('service') ?? '';
  const chosen = props.query.get('edge') ?? undefined;
  const edge = edges.find((each) => nameOf(each) === chosen);
  const choose = (name: string | undefined) => {
    location.hash = linkTo('graph', { service, edge: name });
  };
  return (
    <>
      <h1>
        {around === undefined ? (
          'Who calls whom'
        ) : (
          <>
            Around <Wire text={around} most={80} />
          </>
        )}
      </h1>
      <div class="bar">
        <ServiceFilter services={services} value={service} page="graph" />
        <ul class="legend" aria-label="Lines">
          <li class="used">used</li>
          <li class="never-seen">permitted, never seen</li>
          <li class="not-permitted">seen, not permitted</li>
          <li class="stranger">not proven</li>
        </ul>
      </div>
      {focus.edges.length < edges_total && (
        <p class="notice">
          {focus.edges.length} of {counted(edges_total, 'edge')}: choose a service to see its own.
        </p>
      )}
      {edges.length === 0 ? (
        <Empty title="Nobody calls, and nobody may.">
          authorization.yaml has no rule for it, and no call was seen.
        </Empty>
      ) : (
        <div class="split">
          <EdgeDrawing
            edges={edges}
            chosen={chosen}
            onChoose={(name) => choose(name === chosen ? undefined : name)}
          />
          {edge !== undefined && (
            <EdgePanel edge={edge} token={props.token} onClose={() => choose(undefined)} />
          )}
        </div>
      )}
    </>
  );
}

export function nameOf({ caller, callee }: Pick<Edge, 'caller' | 'callee'>): string {
  return `${caller} ${callee}`;
}

/** One edge and its routes. */
export function EdgePanel({
  edge,
  token,
  onClose,
}: {
  readonly edge: Edge;
  readonly token: string;
  readonly onClose: () => void;
}) {
  const { caller, callee, state, allowed, denied, reasons, traffic, sealed_share, unproven } = edge;
  return (
    <section class="panel" aria-label={`Calls of ${caller} to ${callee}`}>
      <div class="head">
        <h2>
          {state === 'stranger' ? 'Not proven' : <Wire text={caller} most={80} />}{' '}
          <span class="muted">to</span> <Wire text={callee} most={80} />
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <dl class="facts">
        <dt>State</dt>
        <dd>{stateTexts[state]}</dd>
        <dt>Now</dt>
        <dd>
          {rateText(traffic.per_second)} calls/s, half within {durationText(traffic.p50_seconds)}, 99 % within{' '}
          {durationText(traffic.p99_seconds)}
        </dd>
        <dt>Remembered</dt>
        <dd>
          {counted(allowed, 'call')} allowed, {denied.toLocaleString('en-US')} denied
          {Object.entries(reasons).map(([reason, count]) => (
            <span class="tag bad" key={reason}>
              {reason} {count.toLocaleString('en-US')}
            </span>
          ))}
        </dd>
        {state !== 'stranger' && (
          <>
            <dt>Sealed</dt>
            <dd>
              {shareText(sealed_share)}
              {unproven > 0 && (
                <span class="tag bad">{counted(unproven, 'call')} to a host that proved nothing</span>
              )}
            </dd>
          </>
        )}
      </dl>
      <Routes edge={edge} token={token} />
    </section>
  );
}

/** Asked again whenever the edge has news. */
export function Routes({
  edge,
  token,
}: {
  readonly edge: Pick<Edge, 'caller' | 'callee'>;
  readonly token: string;
}) {
  const [found, setFound] = useState<EdgeRoutes | Error>();
  const path = `/api/edge?${new URLSearchParams({ caller: edge.caller, callee: edge.callee })}`;
  useEffect(() => {
    const stop = new AbortController();
    ask<EdgeRoutes>(path, token, stop.signal).then(setFound, (error: Error) => {
      if (!stop.signal.aborted) setFound(error);
    });
    return () => stop.abort();
  }, [path, token, edge]);
  if (found === undefined) return <p class="opening">Reading…</p>;
  if (found instanceof Error) return <Empty title={found.message} />;
  return <RouteTable found={found} />;
}
