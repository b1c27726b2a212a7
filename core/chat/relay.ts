import { ModelFailure } from '../llm/failures.ts';
import type { ModelStream } from '../llm/model-stream.ts';
import { Answer, type Completion } from './answer.ts';
import { type EventSink, endOfStream, toEvent } from './event-stream.ts';
import { TurnStopped } from './live-turns.ts';
import type { Plan } from './planner.ts';
import type { TurnRecord } from './turn.ts';

/** Takes one event as the client gets it, with how many characters of text it adds to the answer. */
type Push = (event: string, characters: number) => void;

/** Told of a model that fails in the middle of an answer. */
export type OnFailure = (error: unknown) => void;

/** In JSON text, where quotes inside of a string have a backslash before them. */
const finishing = /"finish_reason":\s?"/;

/** The events of a call without a session: nothing is kept, so that they are only looked at as far as the client may see them. */
export async function relayStateless(
  stream: ModelStream,
  plan: Plan,
  showUsage: boolean,
  failed: OnFailure,
  sink: EventSink,
): Promise<void> {
  let finished = false;
  try {
    await stream.read({
      plain: (bytes) => sink.write(bytes),
      events(batch) {
        let shown = '';
        for (const data of batch) {
          const chunk = parseChunk(data);
          if (chunk.usage) plan.learn(chunk.usage);
          if (!showUsage && chunk.choices?.length === 0 && chunk.usage) continue;
          finished ||= finishing.test(data);
          shown += toEvent(data);
        }
        return shown === '' ? undefined : sink.write(shown);
      },
    });
  } catch (error) {
    if (!finished) {
      failed(error);
      throw error;
    }
  }
  await sink.write(endOfStream);
}

/**
 * The events of a turn of a session. Those from the one with the `finish_reason` on come only after the turn is on the disk. A turn
 * that is stopped ends as if the model had ended it, and is stored as interrupted.
 *
 * @throws what the model failed with; what it said until then is stored
 */
export async function relayDurable(
  stream: ModelStream,
  turn: TurnRecord,
  plan: Plan,
  showUsage: boolean,
  signal: AbortSignal,
  failed: OnFailure,
  push: Push,
): Promise<void> {
  const answer = new Answer();
  const held: [event: string, characters: number][] = [];
  let last: Completion = {};
  let over = false;
  try {
    try {
      await stream.read({
        events(batch) {
          for (const data of batch) {
            const chunk = parseChunk(data);
            last = chunk;
            const text = answer.add(chunk);
            turn.add(text);
            if (!showUsage && chunk.choices?.length === 0 && chunk.usage) continue;
            if (answer.finishReason === undefined) push(toEvent(data), text.length);
            else held.push([toEvent(data), text.length]);
          }
          return undefined;
        },
      });
    } catch (error) {
      if (signal.reason instanceof TurnStopped && answer.finishReason === undefined) {
        over = true;
        await turn.interrupt(answer.text);
        push(toEvent(stopChunk(last)), 0);
        push(endOfStream, 0);
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
    for (const [event, characters] of held) push(event, characters);
    push(endOfStream, 0);
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
