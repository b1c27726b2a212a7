import { timeText, visible, visibleLines } from '../../../web/text.ts';
import type { Message } from './api.ts';
import { TurnWindow } from './turn-window.tsx';

/** The messages of a session, each answer with what its context window kept. */
export function Transcript({
  messages,
  at,
}: {
  readonly messages: readonly Message[];
  /** The position of the message that somebody looks for. */
  readonly at: string;
}) {
  return (
    <ol class="transcript">
      {messages.map((message) => (
        <li
          key={message.position}
          id={`message-${message.position}`}
          class={`message ${message.role === 'user' ? 'user' : 'other'}`}
          aria-current={String(message.position) === at ? 'true' : undefined}
        >
          <p class="by">
            <strong>{visible(message.role, 20)}</strong> {timeText(message.created_at)}
            {message.model !== null && <bdi> {visible(message.model, 100)}</bdi>}
            {message.state === 'interrupted' && <span class="tag warn">interrupted</span>}
          </p>
          <Said text={saidBy(message)} />
          <TurnWindow answer={message} messages={messages} />
        </li>
      ))}
    </ol>
  );
}

/** What somebody said, as text: models and users can write anything. */
export function Said({ text }: { readonly text: string }) {
  return <div class="said">{visibleLines(text)}</div>;
}

function saidBy({ content, tool_calls }: Message): string {
  const calls = tool_calls === undefined ? [] : [JSON.stringify(tool_calls, null, 2)];
  return [...textsOf(content), ...calls].join('\n');
}

function textsOf(content: unknown): string[] {
  if (typeof content === 'string') return [content];
  if (!Array.isArray(content)) return [];
  return content.map((part: { readonly type?: unknown; readonly text?: unknown } | null) =>
    typeof part?.text === 'string' ? part.text : `(${String(part?.type ?? 'a part')})`,
  );
}
