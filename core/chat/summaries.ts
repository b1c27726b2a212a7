import type { FastifyBaseLogger } from 'fastify';
import type { ModelClient } from '../llm/client.ts';
import type { ModelFleet } from '../llm/model-fleet.ts';
import { fromStored } from '../store/stored-message.ts';
import type { TurnStore } from '../store/turn-store.ts';
import type { StoredSummary } from '../terms/conversation.ts';
import { type Message, textOf } from '../terms/message.ts';
import { type Completion, finishedAnswer } from './answer.ts';
import type { Planner } from './planner.ts';
import { type ChatRequest, toModelRequest } from './request.ts';
import type { PlannedTurn, TurnMessages } from './turn.ts';

/** So many messages have to have fallen out since the last summary. */
const leastMessages = 4;
const mostMessages = 400;
const timeLimitMs = 120_000;
/** Sessions that wait for a summary; more are left for their next turn. */
const waitingLimit = 200;
const task =
  'Summarize the conversation below for yourself, so that you can go on with it later without having it at hand. Keep names, numbers, decisions, open questions and what the user wants. Write plain text, briefly, in the language of the conversation, and nothing but the summary.';

/** A session that may need a summary. */
interface Due {
  readonly chatId: number;
  readonly earlier: StoredSummary | null;
  readonly model: string;
  readonly caller: string | undefined;
  /** Position of the last message that is no longer sent. */
  readonly upTo: number;
}

/**
 * Rolling summaries of what no longer fits a window, made by the model itself after a turn, one at a time. A turn never waits
 * for one, and a failure costs nothing but the summary.
 */
export class Summaries {
  readonly #turns: TurnStore;
  readonly #planner: Planner;
  readonly #model: ModelClient;
  readonly #fleet: ModelFleet;
  readonly #log: FastifyBaseLogger;
  readonly #due = new Map<number, Due>();
  readonly #closing = new AbortController();
  #working: Promise<void> | undefined;

  constructor(
    turns: TurnStore,
    planner: Planner,
    model: ModelClient,
    fleet: ModelFleet,
    log: FastifyBaseLogger,
  ) {
    this.#turns = turns;
    this.#planner = planner;
    this.#model = model;
    this.#fleet = fleet;
    this.#log = log;
  }

  /** A turn of a session was stored: sees to it that what it left out is summarized. */
  consider(
    chatId: number,
    earlier: StoredSummary | null,
    caller: string | undefined,
    plan: PlannedTurn & { readonly model: string },
  ): void {
    const upTo = plan.firstSent - 1;
    if (this.#budgetOf(plan.model) === 0 || upTo - (earlier?.upTo ?? 0) < leastMessages) return;
    if (this.#closing.signal.aborted || (this.#due.size >= waitingLimit && !this.#due.has(chatId))) return;
    this.#due.set(chatId, { chatId, earlier, model: plan.model, caller, upTo });
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async close(): Promise<void> {
    this.#due.clear();
    this.#closing.abort();
    await this.#working;
  }

  #budgetOf(model: string): number {
    return this.#planner.window.of(model).limits.message_budget.summary_tokens;
  }

  async #work(): Promise<void> {
    for (let next = this.#due.entries().next(); !next.done; next = this.#due.entries().next()) {
      const [chatId, due] = next.value;
      this.#due.delete(chatId);
      try {
        await this.#summarize(due);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#log.warn(
          { err: error, model: due.model },
          'could not summarize a session; its next turn tries again',
        );
      }
    }
  }

  async #summarize({ chatId, earlier, model, caller, upTo }: Due): Promise<void> {
    const limit = Math.min(mostMessages, upTo - (earlier?.upTo ?? 0));
    const rows = await this.#turns.recent(chatId, upTo, limit);
    const text = await this.#ask(model, caller, earlier?.text, rows.map(fromStored));
    if (text !== '') await this.#turns.summarise({ chatId, upTo, text, model });
  }

  async #ask(
    model: string,
    caller: string | undefined,
    earlier: string | undefined,
    messages: readonly Message[],
  ): Promise<string> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeLimitMs)]);
    const budget = this.#budgetOf(model);
    const { context_window_tokens: window } = this.#planner.window.of(model).limits;
    // Halved until it fits: what is oldest may be lost, what is newest is not.
    for (let characters = 4 * (window - budget); ; characters = Math.floor(characters / 2)) {
      const transcript = messages
        .map(({ role, ...rest }) => `${role}: ${textOf({ role, ...rest })}`)
        .join('\n\n');
      const content = [
        ...(earlier === undefined ? [] : [`Summary of what came before:\n${earlier}`]),
        `Conversation:\n${transcript.slice(-characters)}`,
      ].join('\n\n');
      const request: ChatRequest = {
        model,
        messages: [
          { role: 'system', content: `${task} At most ${Math.floor(budget * 0.6)} words.` },
          { role: 'user', content },
        ],
        max_tokens: budget,
      };
      const turn: TurnMessages = {
        instructions: request.messages.slice(0, 1),
        history: [],
        fresh: request.messages.slice(1),
        earlierMessages: 0,
        summary: null,
        storedTokens: () => undefined,
      };
      try {
        const plan = await this.#planner.plan(request, model, turn, caller, signal);
        if (plan.maxOutputTokens < budget && characters > 500) continue;
        const body = toModelRequest(request, model, plan);
        const completion = await this.#fleet.ask(model, signal, () => this.#model.complete(body, signal));
        return textOf(finishedAnswer(completion as Completion).message).trim();
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'context_length_exceeded' || characters < 500) throw error;
      }
    }
  }
}
