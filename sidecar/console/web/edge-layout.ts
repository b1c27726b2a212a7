import dagre from '@dagrejs/dagre';
import type { Edge } from '../../fleet-view/edges.ts';

/** Where a service stands; the middle of its box, in pixels. */
export interface PlacedNode {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedEdge {
  readonly caller: string;
  readonly callee: string;
  /** What an SVG path draws. */
  readonly path: string;
  /** The middle of the label. */
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
}

const nodeHeight = 36;
const characterWidth = 7.6;
const longestName = 26;
/** What is kept free for a label; a longer one covers a little of its own line. */
const label = { width: 92, height: 34 };

/** A name that fits a box. */
export function shortName(name: string): string {
  return name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name;
}

/** Places services from left to right, callers before callees. */
export function layoutOf(edges: readonly Pick<Edge, 'caller' | 'callee'>[]): Layout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 30, ranksep: 46, edgesep: 18, marginx: 10, marginy: 10 });
  const names = [...new Set(edges.flatMap(({ caller, callee }) => [caller, callee]))];
  // dagre keeps nodes in plain objects: a service may be called constructor.
  const idOf = (name: string) => `node ${names.indexOf(name)}`;
  const nameOf = (id: string) => names[Number(id.slice(5))] ?? '';
  for (const name of names)
    graph.setNode(idOf(name), { width: shortName(name).length * characterWidth + 34, height: nodeHeight });
  for (const { caller, callee } of edges)
    graph.setEdge(idOf(caller), idOf(callee), { width: label.width, height: label.height, labelpos: 'c' });
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    width: Math.ceil(width),
    height: Math.ceil(height),
    nodes: graph.nodes().map((id: string) => {
      const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id);
      return { name: nameOf(id), x, y, width, height };
    }),
    edges: graph.edges().map(({ v, w }: { readonly v: string; readonly w: string }) => {
      const { points = [], x = 0, y = 0 } = graph.edge({ v, w });
      return { caller: nameOf(v), callee: nameOf(w), path: curve(points), x, y };
    }),
  };
}

/** A smooth line through points (Catmull-Rom): labels stand on one of them. */
export function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const at = (x: number, y: number) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return points
    .map((point, index) => {
      const from = points[index - 1];
      if (from === undefined) return `M${at(point.x, point.y)}`;
      const before = points[index - 2] ?? from;
      const after = points[index + 1] ?? point;
      const leave = at(from.x + (point.x - before.x) / 6, from.y + (point.y - before.y) / 6);
      const arrive = at(point.x - (after.x - from.x) / 6, point.y - (after.y - from.y) / 6);
      return `C${leave} ${arrive} ${at(point.x, point.y)}`;
    })
    .join('');
}
