import type { NewMessage, StoredMessage } from '../database/queries/turns.ts';
import { type Message, textOf } from '../terms/message.ts';

/** A message as it goes into the database. */
export function toStored(message: Message): NewMessage {
  const plain = typeof message.content === 'string' && Object.keys(message).length === 2;
  return {
    role: message.role,
    content: textOf(message),
    payload: plain ? null : JSON.stringify(message),
  };
}

/** The message that was stored, as the model gets it. */
export function fromStored(row: Pick<StoredMessage, 'role' | 'content' | 'payload'>): Message {
  if (row.payload !== null) return JSON.parse(row.payload) as Message;
  return { role: row.role as Message['role'], content: row.content };
}
