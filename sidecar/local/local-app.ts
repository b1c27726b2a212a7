import { setTimeout as delay } from 'node:timers/promises';
import { Child, type ChildOptions } from './child.ts';

const firstPauseMs = 500;
const longestPauseMs = 10_000;
const stopGraceMs = 5_000;

/** The app behind a sidecar. When it ends by itself the fleet goes on without it, and it is started again. */
export class LocalApp {
  readonly name: string;
  readonly #options: ChildOptions;
  readonly #say: (line: string) => void;
  readonly #stopped = new AbortController();
  #child: Child;
  #isUp = false;

  /** @param say gets a line when it goes and when it is back */
  constructor(options: ChildOptions, say: (line: string) => void) {
    this.name = options.name;
    this.#options = options;
    this.#say = say;
    this.#child = new Child(options);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Settles when it is ready. @throws {import('./child.ts').ChildError} when it ends before that */
  async ready(): Promise<void> {
    await this.#child.reached('ready');
    this.#isUp = true;
    void this.#keepUp();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#child.stop(stopGraceMs);
  }

  /** Waits for its end and starts it again, later each time that it does not become ready. */
  async #keepUp(): Promise<void> {
    let pauseMs = firstPauseMs;
    for (;;) {
      const reason = await this.#child.ended;
      if (this.#stopped.signal.aborted) return;
      if (this.#isUp) this.#say(`${this.name} is down (${reason}); it is started again`);
      this.#isUp = false;
      await delay(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      if (this.#stopped.signal.aborted) return;
      this.#child = new Child(this.#options);
      const isReady = await this.#child.reached('ready').then(
        () => true,
        () => false,
      );
      if (!isReady) {
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
        continue;
      }
      pauseMs = firstPauseMs;
      this.#isUp = true;
      this.#say(`${this.name} is up again`);
    }
  }
}
