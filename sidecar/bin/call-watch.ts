import { type EventBatch, EventSampler } from '../telemetry/event-sampler.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Starts to collect the calls of a thread for `send`, or with undefined ends it. */
export function callWatch(telemetry: Telemetry): (send: ((batch: EventBatch) => void) | undefined) => void {
  let sampler: EventSampler | undefined;
  return (send) => {
    sampler?.close();
    const next = send === undefined ? undefined : new EventSampler(send);
    sampler = next;
    telemetry.watchCalls(
      next === undefined ? undefined : (call, claimed, nowMs) => next.add(call, claimed, nowMs),
    );
  };
}
