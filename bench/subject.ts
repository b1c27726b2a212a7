import type { Peer, RunningPeer } from './peers/peer.ts';
import type { Stage } from './stage.ts';
import type { Target } from './targets.ts';

/** How much time there is: three minutes, a quarter of an hour, or as long as it takes. */
export type Mode = 'quick' | 'usual' | 'full';

/** A peer that has been started and does the work that it should. */
export interface Entry {
  readonly peer: Peer;
  readonly running: RunningPeer;
}

/** A peer that is not measured, and why. */
export interface Absence {
  readonly title: string;
  readonly why: string;
}

/** How long each run takes, and how often all runs are repeated. */
export interface Pace {
  readonly rounds: number;
  readonly warmMs: number;
  readonly ms: number;
}

export interface Bench {
  readonly mode: Mode;
  readonly stage: Stage;
  readonly entries: readonly Entry[];
  readonly pace: Pace;
  say(text: string): void;
}

/** For people: columns of text, the first one names the row. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
  readonly targets?: readonly Target[];
}

/** What a subject found: a table for people, every run for whoever wants to look again. */
export interface Result {
  readonly id: string;
  readonly table: Table;
  readonly data: unknown;
}

/** One question, answered by measuring. */
export interface Subject {
  readonly id: string;
  readonly modes: readonly Mode[];
  run(bench: Bench): Promise<Result>;
}

/** The entries of these peers, as far as they are there, in this order. */
export function pick(bench: Bench, ids: readonly string[]): Entry[] {
  return ids.flatMap((id) => bench.entries.find(({ peer }) => peer.id === id) ?? []);
}

/** All of them once a round, in an order that turns, so that nobody always follows the same neighbour. */
export async function interleaved<T>(
  rounds: number,
  things: readonly T[],
  run: (thing: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < things.length; i++) await run(things[(i + round) % things.length]!, round);
  }
}
