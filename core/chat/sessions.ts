import { createHash, randomUUID } from 'node:crypto';
import type { Database } from '../database/database.ts';
import type { ChatState, EarlierTurn, StoredTurn } from '../database/queries/turns.ts';
import { CoreError } from '../errors.ts';
import { type Message, sortMessages, textOf } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';
import type { HotWindow } from './hot-window.ts';
import type { Notes } from './notes.ts';
import type { SessionQueue } from './session-queue.ts';
import { fromStored, type RecalledMessage, toRecalled, toStored } from './stored-message.ts';
import type { FinishedAnswer, PlannedTurn, TurnMessages, TurnRecord } from './turn.ts';

const titleLength = 80;

/** A request to a session. */
export interface SessionRequest {
  readonly session: string;
  readonly messages: readonly Message[];
  readonly model: string;
  /** How many messages of the past are fetched. */
  readonly retrievalLimit: number;
  /** The service that calls, when its sidecar proved it. */
  readonly caller: string | undefined;
  readonly idempotencyKey: string | undefined;
}

/** A turn that may run, or the answer that the same request got before. */
export type Opened =
  | { readonly record: TurnRecord }
  | { readonly answered: Message; readonly model: string | null };

/** The memory of sessions: SQLite holds every message, Redis the newest of each session. */
export class Sessions {
  readonly #database: Database;
  readonly #windows: HotWindow;
  readonly #notes: Notes;
  readonly #queue: SessionQueue;

  constructor(database: Database, windows: HotWindow, notes: Notes, queue: SessionQueue) {
    this.#database = database;
    this.#windows = windows;
    this.#notes = notes;
    this.#queue = queue;
  }

  /**
   * Waits for the session's earlier turns and begins this one. Its record must be completed or interrupted.
   *
   * @throws {CoreError} `invalid_request`, `idempotency_key_reused`
   */
  async open(request: SessionRequest, signal: AbortSignal): Promise<Opened> {
    const leave = await this.#queue.enter(request.session, signal);
    try {
      const opened = await this.#begin(request, leave);
      if (!('record' in opened)) leave();
      return opened;
    } catch (error) {
      leave();
      throw error;
    }
  }

  async #begin(request: SessionRequest, leave: () => void): Promise<Opened> {
    const key = request.idempotencyKey ?? null;
    const found = await this.#database.call('turns.begin', { sessionId: request.session, key });
    const sorted = sortMessages(request.messages);
    const chat = found?.chat;
    // What the client tells of the past counts only while the session itself has none.
    const empty = chat === undefined || chat.lastPosition === 0;
    const input = empty ? [...sorted.earlier, ...sorted.fresh] : sorted.fresh;
    if (input.length === 0 || sorted.fresh.length === 0) {
      throw new CoreError(
        'invalid_request',
        'messages: found no new message after the last answer, expected at least one: a session answers what is new',
        { param: 'messages' },
      );
    }
    const requestHash = createHash('sha256').update(JSON.stringify(sorted.fresh)).digest('hex');
    const earlier = found?.earlier ?? null;
    if (earlier !== null && earlier.requestHash !== requestHash) {
      throw new CoreError(
        'idempotency_key_reused',
        'this Idempotency-Key came with other messages before: use a new key for a new turn',
      );
    }
    if (earlier !== null && earlier.answer.state === 'complete') {
      return { answered: fromStored(earlier.answer), model: earlier.answer.model };
    }
    const turn = toTurn(
      request,
      input,
      sorted.instructions,
      earlier,
      key === null ? null : { key, requestHash },
    );
    const { recalled, hot } = await this.#recall(chat, earlier, request.retrievalLimit);
    const instructions =
      sorted.instructions.length > 0 || chat?.instructions == null
        ? sorted.instructions
        : (JSON.parse(chat.instructions) as Message[]);
    const replaced = earlier !== null && earlier.turnId === chat?.lastTurn;
    const before = replaced ? earlier.firstPosition - 1 : (chat?.lastPosition ?? 0);
    const summary = chat?.summary ?? null;
    const sizes = new Map(recalled.map(({ message, counted }) => [message, counted]));
    return {
      record: new SessionTurn(
        {
          instructions,
          history: [...recalled.map(({ message }) => message), ...(empty ? sorted.earlier : [])],
          fresh: sorted.fresh,
          earlierMessages: before + (empty ? sorted.earlier.length : 0),
          summary: summary !== null && summary.upTo <= before ? summary : null,
          storedTokens: (message) => sizes.get(message),
        },
        turn,
        input,
        hot,
        this.#database,
        this.#windows,
        this.#notes,
        leave,
      ),
    };
  }

  async #recall(
    chat: ChatState | undefined,
    earlier: EarlierTurn | null,
    limit: number,
  ): Promise<{ recalled: readonly RecalledMessage[]; hot: boolean }> {
    if (chat === undefined) return { recalled: [], hot: true };
    if (earlier !== null && earlier.turnId === chat.lastTurn) {
      // The interrupted turn that this one replaces is not part of the past; the window is made anew next time.
      const rows = await this.#database.call('turns.recent', {
        chatId: chat.chatId,
        upTo: earlier.firstPosition - 1,
        limit,
      });
      return { recalled: rows.map(toRecalled), hot: false };
    }
    const { messages, hot } = await this.#windows.recent(chat, limit);
    return { recalled: messages, hot };
  }
}

function toTurn(
  request: SessionRequest,
  input: readonly Message[],
  instructions: readonly Message[],
  earlier: EarlierTurn | null,
  idempotency: StoredTurn['idempotency'],
): StoredTurn {
  const firstUser = input.find(({ role }) => role === 'user') ?? (input[0] as Message);
  return {
    turnId: randomUUID(),
    sessionId: request.session,
    windowId: randomUUID(),
    caller: request.caller ?? null,
    model: request.model,
    instructions: instructions.length > 0 ? JSON.stringify(instructions) : null,
    input: input.map((message) => toStored(message)),
    title: toTitle(textOf(firstUser)),
    startedAt: new Date().toISOString(),
    idempotency,
    replaces: earlier === null ? null : { turnId: earlier.turnId, firstPosition: earlier.firstPosition },
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

/** A turn of a session. */
class SessionTurn implements TurnRecord {
  readonly durable = true;
  readonly instructions: readonly Message[];
  readonly history: readonly Message[];
  readonly fresh: readonly Message[];
  readonly earlierMessages: number;
  readonly summary: TurnMessages['summary'];
  readonly storedTokens: TurnMessages['storedTokens'];
  readonly #turn: StoredTurn;
  readonly #input: readonly Message[];
  #plan: PlannedTurn | undefined;
  #model: string;
  readonly #hot: boolean;
  readonly #database: Database;
  readonly #windows: HotWindow;
  readonly #notes: Notes;
  readonly #leave: () => void;
  #over = false;

  constructor(
    messages: TurnMessages,
    turn: StoredTurn,
    input: readonly Message[],
    hot: boolean,
    database: Database,
    windows: HotWindow,
    notes: Notes,
    leave: () => void,
  ) {
    this.instructions = messages.instructions;
    this.history = messages.history;
    this.fresh = messages.fresh;
    this.earlierMessages = messages.earlierMessages;
    this.summary = messages.summary;
    this.storedTokens = messages.storedTokens;
    this.#turn = turn;
    this.#input = input;
    this.#model = turn.model;
    this.#hot = hot;
    this.#database = database;
    this.#windows = windows;
    this.#notes = notes;
    this.#leave = leave;
  }

  add(text: string): void {
    if (text !== '') this.#notes.add(this.#turn, text);
  }

  planned(plan: PlannedTurn, model: string): void {
    this.#plan = plan;
    this.#model = model;
  }

  async complete(
    { message }: Pick<FinishedAnswer, 'message'>,
    counted: MessageTokens | undefined,
  ): Promise<void> {
    await this.#end(message, counted, 'complete');
  }

  async interrupt(text: string): Promise<void> {
    if (text === '') {
      if (this.#over) return;
      this.#over = true;
      this.#leave();
      return;
    }
    await this.#end({ role: 'assistant', content: text }, undefined, 'interrupted');
  }

  async #end(
    answer: Message,
    counted: MessageTokens | undefined,
    state: 'complete' | 'interrupted',
  ): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#notes.forget(this.#turn.turnId);
    try {
      const { chat, stored } = await this.#database.call('turns.end', {
        turn: {
          ...this.#turn,
          model: this.#model,
          input: this.#input.map((message) => toStored(message, this.#plan?.tokensOf(message))),
        },
        answer: toStored(answer, counted, this.#plan?.context),
        state,
        now: new Date().toISOString(),
      });
      if (this.#hot) await this.#windows.append(chat.windowId, stored);
    } finally {
      this.#leave();
    }
  }
}
