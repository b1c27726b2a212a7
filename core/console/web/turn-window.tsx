import { counted, visible } from '../../../web/text.ts';
import type { Message } from './api.ts';
import { type Piece, shareOf } from './window-share.ts';

/** What the context window kept and left out for one answer: two bars of tokens on one scale, and the same in words. */
export function TurnWindow({
  answer,
  messages,
}: {
  readonly answer: Message;
  readonly messages: readonly Message[];
}) {
  const share = shareOf(answer, messages);
  const { context } = answer;
  if (share === undefined || context === undefined) return null;
  const { sent, of } = context.messages;
  const { prompt, window } = context.tokens;
  const scale = Math.max(window, share.leftOutTokens, 1);
  const besideLabel = context.summarized ? 'instructions and summary' : 'instructions';
  const keptText = `Kept ${sent} of ${counted(of, 'message')}: ${prompt.toLocaleString('en-US')} of ${counted(window, 'token')}`;
  const more = share.leftOutUncounted > 0 ? `, ${share.leftOutUncounted} of them not counted here` : '';
  const leftOutText =
    of === sent
      ? 'Left out nothing'
      : `Left out ${counted(of - sent, 'message')}: ${counted(share.leftOutTokens, 'token')}${more}`;
  return (
    <figure class="window" aria-label={`Context window of answer ${answer.position}`}>
      <figcaption>
        {keptText}. {leftOutText}.
        {context.summarized && ` A summary stood for messages up to ${context.summary_up_to}.`} Counted by{' '}
        <bdi>{visible(context.tokenizer, 60)}</bdi>.
      </figcaption>
      <Bar
        kind="kept"
        label={keptText}
        scale={scale}
        pieces={[{ label: besideLabel, tokens: share.beside }, ...share.kept]}
      />
      <Bar kind="left-out" label={leftOutText} scale={scale} pieces={share.leftOut} />
    </figure>
  );
}

function Bar({
  kind,
  label,
  scale,
  pieces,
}: {
  readonly kind: 'kept' | 'left-out';
  readonly label: string;
  readonly scale: number;
  readonly pieces: readonly Piece[];
}) {
  return (
    <div class={`tokens ${kind}`}>
      <span aria-hidden="true">{kind === 'kept' ? 'Kept' : 'Left out'}</span>
      <div class="bar-of-tokens" role="img" aria-label={label}>
        {pieces.map((piece) => (
          <i
            key={piece.label}
            title={visible(`${piece.label}: ${counted(piece.tokens, 'token')}`, 80)}
            style={{ width: `${(piece.tokens / scale) * 100}%` }}
          />
        ))}
      </div>
    </div>
  );
}
