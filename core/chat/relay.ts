import { ModelFailure } from '../llm/failures.ts';
import { Answer, type Completion } from './answer.ts';
import { endOfStream, toEvent } from './event-stream.ts';
import { TurnStopped } from './live-turns.ts';
import type { Plan } from './planner.ts';
import type { TurnRecord } from './turn.ts';

/** One event as the client gets it, and how many characters of text it adds to the answer. */
export type Relayed = readonly [event: string, characters: number];

/** Told of a model that fails in the middle of an answer. */
export type OnFailure = (error: unknown) => void;

/** In JSON text, where quotes inside of a string have a backslash before them. */
const toldApart = /"usage":\s?\{|"error":/;
const finishing = /"finish_reason":\s?"/;

/** The events of a call without a session: nothing is kept, so that they are only looked at as far as the client may see them. */
export async function* relayStateless(
  events: AsyncGenerator<string[], void, void>,
  plan: Plan,
  showUsage: boolean,
  failed: OnFailure,
  ended: () => void,
): AsyncGenerator<string, void, void> {
  let finished = false;
  try {
    for await (const batch of events) {
      let shown = '';
      for (const data of batch) {
        // Most chunks say neither how the answer ends nor what it cost.
        if (toldApart.test(data) || !data.startsWith('{')) {
          const chunk = parseChunk(data);
          if (chunk.usage) plan.learn(chunk.usage);
          if (!showUsage && chunk.choices?.length === 0 && chunk.usage) continue;
        }
        finished ||= finishing.test(data);
        shown += toEvent(data);
      }
      if (shown !== '') yield shown;
    }
    yield endOfStream;
  } catch (error) {
    if (finished) yield endOfStream;
    else {
      failed(error);
      throw error;
    }
  } finally {
    ended();
  }
}

/**
 * The events of a turn of a session. Those from the one with the `finish_reason` on come only after the turn is on the disk. A turn
 * that is stopped ends as if the model had ended it, and is stored as interrupted.
 *
 * @throws what the model failed with; what it said until then is stored
 */
export async function* relayDurable(
  events: AsyncGenerator<string[], void, void>,
  turn: TurnRecord,
  plan: Plan,
  showUsage: boolean,
  signal: AbortSignal,
  failed: OnFailure,
): AsyncGenerator<readonly Relayed[], void, void> {
  const answer = new Answer();
  const held: Relayed[] = [];
  let last: Completion = {};
  let over = false;
  try {
    try {
      for await (const batch of events) {
        const shown: Relayed[] = [];
        for (const data of batch) {
          const chunk = parseChunk(data);
          last = chunk;
          const text = answer.add(chunk);
          turn.add(text);
          if (!showUsage && chunk.choices?.length === 0 && chunk.usage) continue;
          (answer.finishReason === undefined ? shown : held).push([toEvent(data), text.length]);
        }
        if (shown.length > 0) yield shown;
      }
    } catch (error) {
      if (signal.reason instanceof TurnStopped && answer.finishReason === undefined) {
        over = true;
        await turn.interrupt(answer.text);
        yield [
          [toEvent(stopChunk(last)), 0],
          [endOfStream, 0],
        ];
        return;
      }
      // What the model has called finished is finished, however its stream ended after that.
      if (answer.finishReason === undefined) {
        failed(error);
        throw error;
      }
    }
    plan.learn(answer.usage);
    await turn.complete(answer, await plan.count(answer.message, signal));
    over = true;
    yield [...held, [endOfStream, 0]];
  } finally {
    if (!over) await turn.interrupt(answer.text);
  }
}

function stopChunk({ id, created, model }: Completion): string {
  const choices = [{ index: 0, delta: {}, finish_reason: 'stop' }];
  return JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices });
}

/** @throws {ModelFailure} `model_interrupted` for what is no chunk, or an error in place of one */
function parseChunk(data: string): Completion {
  let chunk: Completion;
  try {
    chunk = (JSON.parse(data) as Completion) ?? {};
  } catch (cause) {
    throw new ModelFailure('model_interrupted', 'the model sent an event that is not JSON', { cause });
  }
  if (chunk.error !== undefined && chunk.error !== null) {
    const { message = String(chunk.error) } = chunk.error as { message?: string };
    throw new ModelFailure('model_interrupted', `the model broke off its answer: ${message}`, {
      countsAgainstModel: true,
    });
  }
  return chunk;
}
