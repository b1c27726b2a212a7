import { fromStored } from '../store/stored-message.ts';
import type { Conversation, StoredMessage } from '../terms/conversation.ts';
import type { ContextRecord } from './turn.ts';

/** Pages of a chat's messages, the oldest first. */
export type Pages = AsyncIterable<readonly StoredMessage[]>;

/** A message as the session API shows it. */
export function toShown(row: StoredMessage) {
  const { position, state, model, createdAt, turnId, tokens } = row;
  const context = row.context === null ? {} : { context: JSON.parse(row.context) as ContextRecord };
  return {
    position,
    ...fromStored(row),
    state,
    model,
    turn_id: turnId,
    created_at: createdAt,
    tokens,
    ...context,
  };
}

/** A session as the session API shows it. */
export function toShownChat({ id, title, createdBy, createdAt, updatedAt, messageCount }: Conversation) {
  return {
    id,
    title,
    created_by: createdBy,
    created_at: createdAt,
    updated_at: updatedAt,
    message_count: messageCount,
  };
}

/** A whole chat as JSON, piece by piece. */
export async function* toJson(chat: Conversation, pages: Pages): AsyncGenerator<string> {
  const head = JSON.stringify(toShownChat(chat), null, 2);
  yield `${head.slice(0, -2)},\n  "messages": [`;
  let separator = '\n    ';
  for await (const page of pages) {
    let piece = '';
    for (const row of page) {
      piece += separator + JSON.stringify(toShown(row));
      separator = ',\n    ';
    }
    yield piece;
  }
  yield '\n  ]\n}\n';
}

const speakers: Readonly<Record<string, string>> = { user: 'User', assistant: 'Assistant', tool: 'Tool' };

/** A whole chat as Markdown, piece by piece. Messages are often Markdown themselves, so they stand as they are. */
export async function* toMarkdown(chat: Conversation, pages: Pages): AsyncGenerator<string> {
  const title = (chat.title ?? chat.id).replaceAll(/\s+/g, ' ');
  yield `# ${title}\n\n${chat.messageCount} messages, ${chat.createdAt} to ${chat.updatedAt}\n`;
  for await (const page of pages) {
    yield page
      .map((row) => {
        const mark = row.state === 'interrupted' ? ' (interrupted)' : '';
        const { summary_up_to: upTo } = (
          row.context === null ? {} : JSON.parse(row.context)
        ) as Partial<ContextRecord>;
        const note =
          upTo === undefined ? '' : `\n*Answered with a summary of the messages up to number ${upTo}.*\n`;
        return `\n## ${speakers[row.role] ?? row.role}${mark}, ${row.createdAt}\n${note}\n${bodyOf(row)}\n`;
      })
      .join('');
  }
}

function bodyOf(row: StoredMessage): string {
  const calls = fromStored(row).tool_calls;
  if (calls === undefined) return row.content;
  const json = `\`\`\`json\n${JSON.stringify(calls, null, 2)}\n\`\`\``;
  return row.content === '' ? json : `${row.content}\n\n${json}`;
}
