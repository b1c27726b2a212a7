import { createHash, randomUUID } from 'node:crypto';
import { fromStored, type RecalledMessage, toRecalled, toStored } from '../store/stored-message.ts';
import type { AdmittedTurn, EarlierTurn, StoredTurn } from '../terms/conversation.ts';
import { CoreError } from '../terms/errors.ts';
import { type Message, sortMessages, textOf } from '../terms/message.ts';
import type { Owner } from '../terms/owner.ts';
import type { Admission, SessionLine } from './session-line.ts';
import { SessionTurn, type TurnParts } from './session-turn.ts';
import type { TurnMessages, TurnRecord } from './turn.ts';

const titleLength = 80;

/** A request to a session. */
export interface SessionRequest {
  readonly owner: Owner;
  readonly session: string;
  readonly messages: readonly Message[];
  readonly model: string;
  /** How many messages of the past are fetched. */
  readonly retrievalLimit: number;
  readonly idempotencyKey: string | undefined;
}

/** A turn that may run, or the answer that the same request got before. */
export type Opened =
  | { readonly record: TurnRecord }
  | { readonly answered: Message; readonly model: string | null };

/** The memory of sessions: the database holds every message, Redis the newest of each session. */
export class Sessions {
  readonly #line: SessionLine;
  readonly #parts: TurnParts;

  constructor(line: SessionLine, parts: TurnParts) {
    this.#line = line;
    this.#parts = parts;
  }

  /**
   * Waits for the session's earlier turns and begins this one. Its record must be completed or interrupted.
   *
   * @throws {CoreError} `invalid_request`, `idempotency_key_reused`, `session_taken_over`
   */
  async open(request: SessionRequest, signal: AbortSignal): Promise<Opened> {
    const { owner, session, idempotencyKey = null } = request;
    const admission = await this.#line.enter({ owner, session, idempotencyKey }, signal);
    try {
      const opened = await this.#begin(request, admission);
      if (!('record' in opened)) admission.leave(false);
      return opened;
    } catch (error) {
      admission.leave(false);
      throw error;
    }
  }

  async #begin(request: SessionRequest, admission: Admission): Promise<Opened> {
    const { chat, earlier } = admission.start;
    const sorted = sortMessages(request.messages);
    // What the client tells of the past counts only while the session itself has none.
    const empty = chat === null || chat.lastPosition === 0;
    const input = empty ? [...sorted.earlier, ...sorted.fresh] : sorted.fresh;
    if (input.length === 0 || sorted.fresh.length === 0) {
      throw new CoreError(
        'invalid_request',
        'messages: found no new message after the last answer, expected at least one: a session answers what is new',
        { param: 'messages' },
      );
    }
    const requestHash = createHash('sha256').update(JSON.stringify(sorted.fresh)).digest('hex');
    if (earlier !== null && earlier.requestHash !== requestHash) {
      throw new CoreError(
        'idempotency_key_reused',
        'this Idempotency-Key came with other messages before: use a new key for a new turn',
      );
    }
    if (earlier?.answer.state === 'complete') {
      return { answered: fromStored(earlier.answer), model: earlier.answer.model };
    }
    const turn = toTurn(request, input, sorted.instructions, earlier, requestHash);
    const { recalled, hot } = await this.#recall(
      admission.start,
      sorted.fresh.length,
      request.retrievalLimit,
    );
    const instructions =
      sorted.instructions.length > 0 || chat?.instructions == null
        ? sorted.instructions
        : (JSON.parse(chat.instructions) as Message[]);
    const before =
      earlier === null ? (chat?.lastPosition ?? 0) : positionBefore(earlier, sorted.fresh.length);
    const summary = chat?.summary ?? null;
    const sizes = new Map(recalled.map(({ message, counted }) => [message, counted]));
    const messages: TurnMessages = {
      instructions,
      history: [...recalled.map(({ message }) => message), ...(empty ? sorted.earlier : [])],
      fresh: sorted.fresh,
      earlierMessages: before + (empty ? sorted.earlier.length : 0),
      summary: summary !== null && summary.upTo <= before ? summary : null,
      storedTokens: (message) => sizes.get(message),
    };
    return { record: new SessionTurn(messages, { turn, input }, admission, hot, this.#parts) };
  }

  async #recall(
    { chat, earlier }: AdmittedTurn,
    freshMessages: number,
    limit: number,
  ): Promise<{ recalled: readonly RecalledMessage[]; hot: boolean }> {
    if (chat === null) return { recalled: [], hot: true };
    if (earlier !== null) {
      // A retry is answered as if it had not been interrupted, whatever came after it.
      const upTo = positionBefore(earlier, freshMessages);
      const rows = await this.#parts.turns.recent(chat.chatId, upTo, limit);
      return { recalled: rows.map(toRecalled), hot: false };
    }
    const { messages, hot } = await this.#parts.windows.recent(chat, limit);
    return { recalled: messages, hot };
  }
}

/** Position of the last message before an interrupted turn. */
function positionBefore({ answer }: EarlierTurn, freshMessages: number): number {
  return answer.position - 1 - freshMessages;
}

function toTurn(
  request: SessionRequest,
  input: readonly Message[],
  instructions: readonly Message[],
  earlier: EarlierTurn | null,
  requestHash: string,
): StoredTurn {
  const firstUser = input.find(({ role }) => role === 'user') ?? (input[0] as Message);
  const { idempotencyKey: key } = request;
  return {
    turnId: randomUUID(),
    owner: request.owner,
    sessionId: request.session,
    windowId: randomUUID(),
    model: request.model,
    instructions: instructions.length > 0 ? JSON.stringify(instructions) : null,
    input: input.map((message) => toStored(message)),
    title: toTitle(textOf(firstUser)),
    startedAt: new Date().toISOString(),
    idempotency: key === undefined ? null : { key, requestHash },
    replaces: earlier === null ? null : { turnId: earlier.turnId, answerPosition: earlier.answer.position },
  };
}

/** The first line of a text, shortened; null when there is no text to speak of. */
function toTitle(text: string): string | null {
  const line = text.trim().split(/\s*\n/, 1)[0] ?? '';
  if (line === '') return null;
  const characters = [...line];
  if (characters.length <= titleLength) return line;
  return `${characters.slice(0, titleLength - 1).join('')}…`;
}
