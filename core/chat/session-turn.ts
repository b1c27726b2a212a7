import type { HotWindow } from '../store/hot-window.ts';
import { toStored } from '../store/stored-message.ts';
import type { TurnStore } from '../store/turn-store.ts';
import type { StoredTurn } from '../terms/conversation.ts';
import type { Message } from '../terms/message.ts';
import type { MessageTokens } from '../tokens/message-tokens.ts';
import type { Notes } from './notes.ts';
import type { Admission } from './session-line.ts';
import type { FinishedAnswer, PlannedTurn, TurnMessages, TurnRecord } from './turn.ts';

/** What keeping turns needs. */
export interface TurnParts {
  readonly turns: TurnStore;
  readonly windows: HotWindow;
  readonly notes: Notes;
}

/** A turn of a session that runs. */
export class SessionTurn implements TurnRecord {
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
  readonly #admission: Admission;
  readonly #hot: boolean;
  readonly #parts: TurnParts;
  #over = false;

  /**
   * @param asked the turn, with the messages that it stores
   * @param hot whether Redis has exactly the messages before this turn
   */
  constructor(
    messages: TurnMessages,
    asked: { readonly turn: StoredTurn; readonly input: readonly Message[] },
    admission: Admission,
    hot: boolean,
    parts: TurnParts,
  ) {
    this.instructions = messages.instructions;
    this.history = messages.history;
    this.fresh = messages.fresh;
    this.earlierMessages = messages.earlierMessages;
    this.summary = messages.summary;
    this.storedTokens = messages.storedTokens;
    this.#turn = asked.turn;
    this.#input = asked.input;
    this.#model = asked.turn.model;
    this.#admission = admission;
    this.#hot = hot;
    this.#parts = parts;
  }

  get id(): string {
    return this.#turn.turnId;
  }

  get chatId(): number | null {
    return this.#admission.start.chat?.chatId ?? null;
  }

  add(text: string): void {
    if (text !== '') this.#parts.notes.add(this.#admission.epoch, this.#turn, text);
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
    if (text !== '') return this.#end({ role: 'assistant', content: text }, undefined, 'interrupted');
    if (this.#over) return;
    this.#over = true;
    this.#admission.leave(false);
  }

  async #end(
    answer: Message,
    counted: MessageTokens | undefined,
    state: 'complete' | 'interrupted',
  ): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const { epoch } = this.#admission;
    const { notes, turns, windows } = this.#parts;
    notes.forget(epoch);
    let stored = false;
    try {
      const end = await turns.end({
        epoch,
        turn: {
          ...this.#turn,
          model: this.#model,
          input: this.#input.map((message) => toStored(message, this.#plan?.tokensOf(message))),
        },
        answer: toStored(answer, counted, this.#plan?.context),
        state,
        now: new Date().toISOString(),
      });
      stored = true;
      if (this.#hot && end.appended) await windows.append(end.chat, epoch, end.stored);
    } finally {
      this.#admission.leave(stored);
    }
  }
}
