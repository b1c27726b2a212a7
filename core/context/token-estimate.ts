import type { Message } from '../terms/message.ts';

/** What a message costs besides its text: the marks around it in a chat template. */
const tokensPerMessage = 4;
/** What one part that is not text (an image) is taken to cost. */
const tokensPerPart = 1000;

/** How a text is turned into a number of tokens. */
export interface Estimator {
  readonly charactersPerToken: number;
  /** Learned from the model's own counts; 1 when nothing was learned. */
  readonly scale: number;
}

/**
 * Estimated tokens of one message, an integer of at least 1. Characters are counted as bytes of UTF-8: scripts outside
 * ASCII take more tokens for each character, and would be underestimated otherwise.
 */
export function estimateTokens(message: Message, estimator: Estimator): number {
  let bytes = 0;
  let parts = 0;
  for (const [key, value] of Object.entries(message)) {
    if (key === 'role' || value === undefined || value === null) continue;
    if (typeof value === 'string') bytes += Buffer.byteLength(value);
    else if (key === 'content') {
      for (const part of value as Exclude<Message['content'], string | null | undefined>) {
        if (typeof part.text === 'string') bytes += Buffer.byteLength(part.text);
        else parts++;
      }
    } else bytes += Buffer.byteLength(JSON.stringify(value) ?? '');
  }
  const tokens = (bytes / estimator.charactersPerToken + tokensPerMessage) * estimator.scale;
  return Math.max(1, Math.ceil(tokens + parts * tokensPerPart));
}

/** The sum of {@link estimateTokens}. */
export function estimateAll(messages: readonly Message[], estimator: Estimator): number {
  return messages.reduce((sum, message) => sum + estimateTokens(message, estimator), 0);
}
