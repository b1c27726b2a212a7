import { ConfigError, type Problem } from '../../config/problem.ts';
import { loadMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import { WatchedFiles } from './watched-files.ts';

/** fleet.yaml and authorization.yaml, read together: the one names services that the other must know. */
export interface Policy {
  readonly fleet: Fleet;
  readonly matrix: Matrix;
}

interface PolicyFiles {
  readonly fleet: string;
  readonly authorization: string;
}

/** The policy of this sidecar; replaced as a whole when a file changes, or not at all when the new one is wrong. */
export class PolicySource {
  readonly #files: PolicyFiles;
  readonly #judge: (fleet: Fleet) => readonly Problem[];
  #current: Policy;
  #watched: WatchedFiles | undefined;
  #reloading: Promise<unknown> = Promise.resolve();

  /** @param judge what else is wrong with a new fleet.yaml, which is refused then */
  constructor(files: PolicyFiles, current: Policy, judge: (fleet: Fleet) => readonly Problem[]) {
    this.#files = files;
    this.#current = current;
    this.#judge = judge;
  }

  /** The policy of a thread whose main thread judges the files first. @throws {ConfigError} */
  static async open(files: PolicyFiles): Promise<PolicySource> {
    return new PolicySource(files, await read(files), () => []);
  }

  get current(): Policy {
    return this.#current;
  }

  /**
   * Reads both files again.
   *
   * @returns whether something else is in force now
   * @throws {ConfigError} what is in force stays so
   */
  reload(): Promise<boolean> {
    const turn = this.#reloading.then(async () => {
      const next = await read(this.#files);
      const problems = this.#judge(next.fleet);
      if (problems.length > 0) throw new ConfigError(problems);
      const { fleet, matrix } = this.#current;
      if (next.fleet.hash === fleet.hash && next.matrix.hash === matrix.hash) return false;
      this.#current = next;
      return true;
    });
    this.#reloading = turn.catch(() => {});
    return turn;
  }

  /** Tells of changes of the files, once they have settled, until `close`. */
  watch(onChange: () => void): void {
    this.#watched = new WatchedFiles([this.#files.fleet, this.#files.authorization], onChange);
  }

  close(): void {
    this.#watched?.close();
  }
}

async function read(files: PolicyFiles): Promise<Policy> {
  const fleet = await loadFleet(files.fleet);
  return { fleet, matrix: await loadMatrix(files.authorization, fleet) };
}
