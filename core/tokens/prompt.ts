import { asSent, type Message, textOf } from '../terms/message.ts';

/** A message as chat templates know it: text only. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly tool_calls?: unknown;
  readonly tool_call_id?: string;
}

/** What a model server renders into the text that the model reads. */
export interface Prompt {
  readonly messages: readonly PromptMessage[];
  readonly tools?: readonly unknown[];
}

const roles: Readonly<Record<string, PromptMessage['role']>> = { developer: 'system', function: 'tool' };

/** The text of a message; its images and other parts are counted apart. */
export function toPromptMessage(message: Message): PromptMessage {
  const sent = asSent(message);
  const { role, tool_calls, tool_call_id } = sent;
  return {
    role: roles[role] ?? (role as PromptMessage['role']),
    content: textOf(sent),
    ...(tool_calls === undefined || tool_calls === null ? {} : { tool_calls }),
    ...(typeof tool_call_id === 'string' ? { tool_call_id } : {}),
  };
}

/** How many parts of a message are no text: images, audio, files. */
export function mediaParts({ content }: Message): number {
  if (!Array.isArray(content)) return 0;
  return content.filter((part) => typeof part.text !== 'string').length;
}
