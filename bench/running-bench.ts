import { PeerFailed } from './load/generators.ts';
import { ProcessEnded } from './processes.ts';
import type { Absence, Bench, Entry, Result, Subject } from './subject.ts';

/** A bench that goes on without a peer that fails, and says so wherever the peer is then missing. */
export class RunningBench {
  readonly #bench: Bench;
  readonly #absences: Absence[];
  #entries: readonly Entry[];
  /** What failed, in words. */
  readonly failures: string[] = [];

  constructor(bench: Bench, absences: readonly Absence[]) {
    this.#bench = bench;
    this.#entries = bench.entries;
    this.#absences = [...absences];
  }

  /** Runs a subject, again without a peer that fails in it; undefined when it cannot be done at all. */
  async run(subject: Subject): Promise<Result | undefined> {
    for (;;) {
      try {
        return this.#withAbsent(await subject.run({ ...this.#bench, entries: this.#entries }));
      } catch (error) {
        const why = (error as Error).message;
        const failed = this.#entryOf(error);
        this.failures.push(`${subject.id}: ${failed === undefined ? '' : `${failed.peer.title}: `}${why}`);
        this.#bench.say(`failed: ${this.failures.at(-1)}`);
        if (failed === undefined) return undefined;
        await failed.running.stop();
        this.#entries = this.#entries.filter((entry) => entry !== failed);
        this.#absences.push({ title: failed.peer.title, why: `failed: ${why}` });
      }
    }
  }

  /** The peer that an error says has failed. */
  #entryOf(error: unknown): Entry | undefined {
    if (error instanceof PeerFailed) return this.#entries.find(({ peer }) => peer.id === error.id);
    if (error instanceof ProcessEnded)
      return this.#entries.find(({ running }) => running.pids.includes(error.pid));
    return undefined;
  }

  /** Whoever is not there is named, so that nobody takes the table for complete. */
  #withAbsent(result: Result): Result {
    const { table } = result;
    if (table.columns[0] !== 'peer') {
      const notes = this.#absences.map(({ title, why }) => `${title}: ${why}`);
      return { ...result, table: { ...table, notes: [...table.notes, ...notes] } };
    }
    const rows = this.#absences.map(({ title, why }) => [
      title,
      why,
      ...table.columns.slice(2).map(() => ''),
    ]);
    return { ...result, table: { ...table, rows: [...table.rows, ...rows] } };
  }
}
