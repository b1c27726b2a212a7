import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Live, useLive } from '../live.ts';
import type { PageProps } from '../page-props.ts';
import { visible } from '../text.ts';

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

/** Nothing to show, and what that means. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <p>{title}</p>
      {children !== undefined && <p class="muted">{children}</p>}
    </div>
  );
}

/** A table that may be wider than the screen; it is scrolled by keyboard, too. */
export function TableRegion({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <div class="region" role="group" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}

/** A text from the wire, which may hold anything. */
export function Wire({ text, most }: { readonly text: string; readonly most?: number }) {
  return <bdi class="wire">{visible(text, most)}</bdi>;
}
