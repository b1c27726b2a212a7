import type { Message } from '../terms/message.ts';

const heading = 'Summary of the earlier conversation, which is left out here:';

/** Instructions with a summary of what is left out. It joins the last system prompt: many chat templates take only one. */
export function withSummary(instructions: readonly Message[], summary: string): readonly Message[] {
  const text = `${heading}\n${summary}`;
  const last = instructions.at(-1);
  if (last === undefined) return [{ role: 'system', content: text }];
  const before = instructions.slice(0, -1);
  if (typeof last.content === 'string')
    return [...before, { ...last, content: `${last.content}\n\n${text}` }];
  return [...before, { ...last, content: [...(last.content ?? []), { type: 'text', text }] }];
}
