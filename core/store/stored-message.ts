import type { NewMessage, StoredMessage } from '../terms/conversation.ts';
import { type Message, textOf } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';

/** A message as it goes into the database. */
export function toStored(message: Message, counted?: MessageTokens, context?: object): NewMessage {
  const plain = typeof message.content === 'string' && Object.keys(message).length === 2;
  return {
    role: message.role,
    content: textOf(message),
    payload: plain ? null : JSON.stringify(message),
    tokens: counted?.tokens ?? null,
    tokenizer: counted?.tokenizer ?? null,
    context: context === undefined ? null : JSON.stringify(context),
  };
}

/** The message that was stored. */
export function fromStored(row: Pick<StoredMessage, 'role' | 'content' | 'payload'>): Message {
  if (row.payload !== null) return JSON.parse(row.payload) as Message;
  return { role: row.role as Message['role'], content: row.content };
}

/** A message out of the memory of a session, with its size when it was counted. */
export interface RecalledMessage {
  readonly message: Message;
  readonly counted: MessageTokens | undefined;
}

export function toRecalled(row: StoredMessage): RecalledMessage {
  const { tokens, tokenizer } = row;
  return {
    message: fromStored(row),
    counted: tokens === null || tokenizer === null ? undefined : { tokens, tokenizer },
  };
}
