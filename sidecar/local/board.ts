import { cut } from '../cli/fitted-table.ts';
import { printable } from '../cli/table.ts';
import type { DenialDocument } from '../telemetry/documents.ts';
import type { LocalService } from './layout.ts';
import type { Activity } from './watch.ts';

const columns = [
  ['service', (a: Activity) => a.service.name],
  ['phase', (a: Activity) => a.phase ?? 'starting'],
  ['app', (a: Activity) => a.service.app],
  ['outbound', (a: Activity) => a.service.outbound],
  ['inbound', (a: Activity) => a.service.inbound],
  ['admin', (a: Activity) => a.service.admin],
  ['calls in', (a: Activity) => a.callsIn],
  ['calls out', (a: Activity) => a.callsOut],
  ['denials', (a: Activity) => a.denials],
] as const;

/** The table of services; numbers are set to the right. */
export function table(activity: readonly Activity[]): string[] {
  const rows = activity.map((one) => columns.map(([, value]) => value(one)));
  const widths = columns.map(([title], at) =>
    Math.max(title.length, ...rows.map((row) => String(row[at]).length)),
  );
  const line = (cells: readonly (string | number)[], right: (at: number) => boolean) =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        return right(at) ? String(cell).padStart(width) : String(cell).padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const numeric = (at: number) => at >= 2;
  return [
    line(
      columns.map(([title]) => title),
      numeric,
    ),
    ...rows.map((row) => line(row, numeric)),
  ];
}

/** One denial in one line, with the command that says why. */
export function denialLine(denial: DenialDocument): string {
  const { time, caller, claimed, callee, method, path, reason, disposition } = denial;
  const from =
    caller ?? (claimed === undefined ? 'an unsigned caller' : `"${printable(claimed)}" (unproven)`);
  const done = disposition === 'refused' ? 'refused' : 'forwarded';
  return `${time.slice(11, 19)}  ${from} -> ${callee}  ${cut(printable(method), 16)} ${cut(printable(path), 80)}  ${reason}, ${done}`;
}

/** Three commands to try, each with what to expect. */
export function commands(services: readonly LocalService[]): string[] {
  const [backend, npu] = services as [LocalService, LocalService];
  const toModel = [...backend.routes].find(([, callee]) => callee === 'ai-stack')?.[0];
  const json = `-H 'content-type: application/json'`;
  const chat = `{"model":"qwen2.5-coder-7b-instruct","stream":true,"messages":[{"role":"user","content":"Hello"}]}`;
  return [
    'main-backend calls npu-worker by name: signed on the way out, checked on the way in',
    `  http_proxy=http://127.0.0.1:${backend.outbound} curl ${json} -d '{"image":"cat.png"}' http://npu-worker/api/process`,
    'main-backend chats with ai-stack through a listener; the answer streams',
    `  curl -N ${json} -d '${chat}' http://127.0.0.1:${toModel}/v1/chat/completions`,
    'a caller without a key calls npu-worker: logging forwards, enforcing refuses',
    `  curl -i ${json} -d '{}' http://127.0.0.1:${npu.inbound}/api/process`,
  ];
}

/** The commands alone, without what they show. */
export function commandLines(services: readonly LocalService[]): string[] {
  return commands(services)
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim());
}

export const nextStep =
  'In another terminal: npm run phase enforcing (and back: npm run phase logging). Ctrl-C here stops everything.';
