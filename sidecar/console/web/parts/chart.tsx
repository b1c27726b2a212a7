import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { rateText } from '../../../fleet-view/quantities.ts';
import type { HistoryDocument } from '../../history.ts';

const height = 132;

/** Calls and denials a second of the last minutes. What it shows stands above it in numbers. */
export function Chart({ history }: { readonly history: HistoryDocument }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data: uPlot.AlignedData = [
    [...history.at],
    [...history.per_second],
    history.denied_per_second.map((each) => (each === 0 ? null : each)),
  ];
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element), newest.current, element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    scheme.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => plot.current?.setData(data));
  return (
    <figure class="chart">
      <figcaption>
        <span class="key calls">calls a second</span>
        <span class="key denied">denied</span>
        {history.at.length < 2 && <span class="muted">drawn as it comes, for 15 minutes</span>}
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
    </figure>
  );
}

function optionsFor(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  // A canvas takes no variable, and no light-dark(): what an element of that colour has come to.
  const colour = (name: string) => {
    const probe = document.createElement('i');
    probe.className = `probe ${name}`;
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const [ink, line, calls, denied] = [
    colour('muted'),
    colour('line'),
    colour('accent'),
    colour('bad'),
  ] as const;
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height,
    padding: [10, 34, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.15)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 96, values: (_plot, times) => times.map(clockText) },
      { ...axis, size: 46, values: (_plot, values) => values.map((value) => rateText(value)) },
    ],
    series: [
      {},
      { stroke: calls, width: 2, points: { show: false }, fill: withAlpha(calls, 0.1) },
      { stroke: denied, width: 2, points: { show: true, size: 4, fill: denied } },
    ],
  };
}

function clockText(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
}

function withAlpha(colour: string, alpha: number): string {
  return colour.replace(/^rgb\((.*)\)$/, (_, parts: string) => `rgba(${parts}, ${alpha})`);
}
