import { visible } from '../../../../web/text.ts';

export interface TimelineSpan {
  readonly kind: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly title: string;
}

/** Spans of time, a row each; what they say stands in words beside or below. */
export function Timeline({
  label,
  fromMs,
  toMs,
  rows,
  ends,
}: {
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly rows: readonly { readonly name: string; readonly spans: readonly TimelineSpan[] }[];
  readonly ends: readonly [from: string, to: string];
}) {
  const share = (ms: number) => Math.min(1, Math.max(0, (ms - fromMs) / (toMs - fromMs)));
  return (
    <div class="timeline" role="img" aria-label={visible(label, 160)}>
      {rows.map(({ name, spans }) => (
        <div class="row" key={name}>
          <div class="name">{visible(name, 80)}</div>
          <div class="track">
            {spans
              .filter((span) => span.toMs > fromMs && span.fromMs < toMs)
              .map((span) => (
                <div
                  key={`${span.kind} ${span.fromMs}`}
                  class={`span ${span.kind}`}
                  title={visible(span.title, 160)}
                  style={{
                    left: `${share(span.fromMs) * 100}%`,
                    width: `max(3px, ${(share(span.toMs) - share(span.fromMs)) * 100}%)`,
                  }}
                />
              ))}
          </div>
        </div>
      ))}
      <div class="row ends">
        <div class="name" />
        <div class="track">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
        </div>
      </div>
    </div>
  );
}
