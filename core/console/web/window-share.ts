import type { Message } from './api.ts';

/** Some of a conversation in tokens, as one piece of a bar. */
export interface Piece {
  readonly label: string;
  readonly tokens: number;
}

/** What the window of one answer kept of the conversation, and what it left out. */
export interface WindowShare {
  /** System prompt, tools, chat template, summary: what is sent beside the messages. */
  readonly beside: number;
  readonly kept: readonly Piece[];
  readonly leftOut: readonly Piece[];
  readonly leftOutTokens: number;
  /** Messages that were left out and are not loaded, or were never counted. */
  readonly leftOutUncounted: number;
}

/** Sorts the messages before an answer by what its window did to them. Undefined for a message that has no record. */
export function shareOf(answer: Message, messages: readonly Message[]): WindowShare | undefined {
  const { context } = answer;
  if (context === undefined) return undefined;
  const { sent, of } = context.messages;
  const spoken = messages.filter(
    ({ position, role }) => position < answer.position && role !== 'system' && role !== 'developer',
  );
  const counted = (some: readonly Message[]) =>
    some.flatMap(({ position, role, tokens }) =>
      tokens === null ? [] : [{ label: `${position} ${role}`, tokens }],
    );
  const kept = counted(sent === 0 ? [] : spoken.slice(-sent));
  const leftOut = counted(sent === 0 ? spoken : spoken.slice(0, -sent));
  return {
    beside: Math.max(0, context.tokens.prompt - sumOf(kept)),
    kept,
    leftOut,
    leftOutTokens: sumOf(leftOut),
    leftOutUncounted: Math.max(0, of - sent - leftOut.length),
  };
}

function sumOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { tokens }) => sum + tokens, 0);
}
