import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Live, useLive } from '../live.ts';
import type { PageProps } from '../page-props.ts';

/** A page over one live document: what is known of it, and whether it is still followed. */
export function LivePage<Document>({
  path,
  props,
  children,
}: {
  readonly path: string;
  readonly props: PageProps;
  readonly children: (data: Document) => ComponentChildren;
}) {
  const live = useLive<Document>(path, props.token);
  useEffect(() => {
    if (live.kind === 'refused') props.onRefused();
  }, [live.kind]);
  return (
    <>
      <Connection live={live} />
      {'data' in live && live.data !== undefined ? children(live.data) : <Waiting live={live} />}
    </>
  );
}

function Connection({ live }: { readonly live: Live<unknown> }) {
  const text = { connecting: 'Connecting', live: 'Live', lost: 'Not connected', refused: 'Refused' }[
    live.kind
  ];
  return (
    <p class={`connection ${live.kind}`} role="status">
      {text}
      {live.kind === 'lost' && <span class="why">: {live.why}; trying again</span>}
    </p>
  );
}

function Waiting({ live }: { readonly live: Live<unknown> }) {
  if (live.kind === 'lost')
    return (
      <div class="empty">
        <p>The console does not answer.</p>
        <p class="muted">{live.why}</p>
      </div>
    );
  return <p class="opening">Reading the fleet…</p>;
}
