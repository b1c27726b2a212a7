import * as z from 'zod';

const contentPart = z.looseObject({ type: z.string() });
const content = z.union([z.string(), z.array(contentPart).min(1)], {
  error: 'a string or a list of content parts',
});

/** One message of a conversation, in OpenAI's shape; fields that we do not know travel along. */
export const messageSchema = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function'], {
    error: 'a role: system, developer, user, assistant or tool',
  }),
  content: content.nullish(),
});

export type Message = z.output<typeof messageSchema>;

/** The text of a message: what is searched and exported. Parts that are not text leave no trace in it. */
export function textOf(message: Message): string {
  const { content } = message;
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content
    .map((part) => part.text)
    .filter((text) => typeof text === 'string')
    .join('\n');
}

/** True of the messages that instruct the model rather than take part in the conversation. */
export function isInstruction(message: Message): boolean {
  return message.role === 'system' || message.role === 'developer';
}

/** The messages of a request, sorted by what they are for. */
export interface SortedMessages {
  readonly instructions: readonly Message[];
  /** What was said before, as the client tells it. */
  readonly earlier: readonly Message[];
  /** What is said now: everything after the last answer. */
  readonly fresh: readonly Message[];
}

/** Sorts the messages of a request. `fresh` is empty when the last message is an answer of the model. */
export function sortMessages(messages: readonly Message[]): SortedMessages {
  const spoken = messages.filter((message) => !isInstruction(message));
  const cut = spoken.findLastIndex((message) => message.role === 'assistant') + 1;
  return {
    instructions: messages.filter(isInstruction),
    earlier: spoken.slice(0, cut),
    fresh: spoken.slice(cut),
  };
}

/**
 * A message as it goes to the model: without what models say but do not take (reasoning, annotations, audio). An answer that was
 * a refusal says that.
 */
export function asSent(message: Message): Message {
  if (message.role !== 'assistant') return message;
  const { reasoning: _, reasoning_content: __, annotations: ___, audio: ____, refusal, ...sent } = message;
  if ((sent.content === null || sent.content === undefined) && typeof refusal === 'string') {
    return { ...sent, content: refusal };
  }
  return sent;
}
