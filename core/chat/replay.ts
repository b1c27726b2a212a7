import { randomUUID } from 'node:crypto';
import type { Message } from '../terms/message.ts';
import type { Completion } from './answer.ts';
import { endOfStream, toEvent } from './event-stream.ts';

/** A stored answer in the shape of a completion. */
export function toCompletion(message: Message, model: string): Completion {
  const { role: _, ...rest } = message;
  return {
    id: `chatcmpl-${randomUUID()}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', ...rest },
        finish_reason: message.tool_calls === undefined ? 'stop' : 'tool_calls',
      },
    ],
  };
}

/** A stored answer as a stream of one piece. */
export async function* replayed(completion: Completion): AsyncGenerator<string, void, void> {
  const { message, finish_reason } = completion.choices?.[0] ?? {};
  const chunk = (choice: object) =>
    toEvent(
      JSON.stringify({ ...completion, object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }] }),
    );
  const toolCalls = message?.tool_calls as object[] | undefined;
  const delta = toolCalls
    ? { ...message, tool_calls: toolCalls.map((call, index) => ({ index, ...call })) }
    : message;
  yield chunk({ delta, finish_reason: null }) + chunk({ delta: {}, finish_reason }) + endOfStream;
}
