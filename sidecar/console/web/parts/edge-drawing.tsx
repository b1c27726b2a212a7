import { useMemo } from 'preact/hooks';
import { visible } from '../../../../web/text.ts';
import type { Edge } from '../../../fleet-view/edges.ts';
import { durationText, rateText } from '../../../fleet-view/quantities.ts';
import { layoutOf, type PlacedEdge, shortName } from '../edge-layout.ts';

/** The services as boxes and their edges as lines; each edge is a button. */
export function EdgeDrawing({
  edges,
  chosen,
  onChoose,
}: {
  readonly edges: readonly Edge[];
  readonly chosen: string | undefined;
  readonly onChoose: (name: string) => void;
}) {
  const shape = edges.map(({ caller, callee }) => `${caller} ${callee}`).join('\n');
  // Numbers change all the time, the places only with the edges.
  const layout = useMemo(() => layoutOf(edges), [shape]);
  const byName = new Map(edges.map((edge) => [`${edge.caller} ${edge.callee}`, edge]));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <div class="drawing" role="group" aria-label="Services and their calls" tabIndex={0}>
      <svg width={layout.width} height={layout.height} viewBox={`0 0 ${layout.width} ${layout.height}`}>
        <title>Services and their calls</title>
        <defs>
          <marker
            id="tip"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto-start-reverse"
          >
            <path d="M1 1 7 4 1 7" class="tip" />
          </marker>
        </defs>
        {layout.edges.map(({ caller, callee, path }) => {
          const edge = byName.get(`${caller} ${callee}`);
          if (edge === undefined) return undefined;
          const isChosen = chosen === `${caller} ${callee}`;
          return (
            <path
              key={`${caller} ${callee}`}
              d={path}
              class={`line ${edge.state}${isChosen ? ' chosen' : ''}`}
              marker-end="url(#tip)"
            />
          );
        })}
        {layout.nodes.map(({ name, x, y, width, height }) => (
          <g key={name} class={name === 'unknown' ? 'node stranger' : 'node'}>
            <rect x={x - width / 2} y={y - height / 2} width={width} height={height} rx={8} />
            <text x={x} y={y + 5} text-anchor="middle">
              <title>{visible(name, 80)}</title>
              {name === 'unknown' ? 'not proven' : visible(shortName(name), 80)}
            </text>
          </g>
        ))}
        {layout.edges.map((placed) => {
          const edge = byName.get(`${placed.caller} ${placed.callee}`);
          return (
            edge && (
              <EdgeLine
                key={`${placed.caller} ${placed.callee}`}
                placed={placed}
                edge={edge}
                isChosen={chosen === `${placed.caller} ${placed.callee}`}
                onChoose={onChoose}
              />
            )
          );
        })}
      </svg>
    </div>
  );
}

function EdgeLine({
  placed: { path, x, y },
  edge,
  isChosen,
  onChoose,
}: {
  readonly placed: PlacedEdge;
  readonly edge: Edge;
  readonly isChosen: boolean;
  readonly onChoose: (name: string) => void;
}) {
  const { caller, callee, state, denied, traffic, sealed_share } = edge;
  const name = `${caller} ${callee}`;
  const isSealed = sealed_share === 1;
  const times =
    traffic.p50_seconds === undefined
      ? ''
      : `${durationText(traffic.p50_seconds)} / ${durationText(traffic.p99_seconds)}`;
  const rate = state === 'never-seen' ? 'never seen' : `${rateText(traffic.per_second)}/s`;
  const first = denied > 0 ? `${rate} · ${rateText(denied)} denied` : rate;
  // What is to be seen of it stands in its name, so that it can be said aloud.
  const title = `${caller} to ${callee}, ${state}${isSealed ? ', sealed' : ''}: ${first} ${times}`.trimEnd();
  const width = Math.max(first.length * 6.6 + (isSealed ? 16 : 0), times.length * 5.8) + 12;
  const height = times === '' ? 20 : 34;
  const firstLine = times === '' ? y + 4 : y - 3;
  return (
    // biome-ignore lint/a11y/useSemanticElements: there is no button inside of an SVG
    <g
      class={`edge ${state}${isChosen ? ' chosen' : ''}${denied > 0 ? ' denied' : ''}`}
      role="button"
      tabindex={0}
      aria-label={visible(title, 300)}
      aria-pressed={isChosen}
      onClick={() => onChoose(name)}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onChoose(name);
      }}
    >
      <path d={path} class="reach" />
      <rect class="plate" x={x - width / 2} y={y - height / 2} width={width} height={height} rx={6} />
      {isSealed && <Lock x={x - width / 2 + 6} y={firstLine - 10} />}
      <text x={isSealed ? x + 7 : x} y={firstLine} text-anchor="middle" class="rate">
        {first}
      </text>{' '}
      {times !== '' && (
        <text x={x} y={y + 12} text-anchor="middle" class="times">
          {times}
        </text>
      )}
    </g>
  );
}

function Lock({ x, y }: { readonly x: number; readonly y: number }) {
  return (
    <g class="lock" transform={`translate(${x} ${y})`}>
      <rect x="0" y="4.5" width="9" height="7" rx="1.5" />
      <path d="M2 4.5V3a2.5 2.5 0 0 1 5 0v1.5" />
    </g>
  );
}
