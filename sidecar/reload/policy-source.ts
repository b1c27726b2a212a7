import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { ConfigError, type Problem } from '../../config/problem.ts';
import { loadMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';

/** fleet.yaml and authorization.yaml, read together: the one names services that the other must know. */
export interface Policy {
  readonly fleet: Fleet;
  readonly matrix: Matrix;
}

interface PolicyFiles {
  readonly fleet: string;
  readonly authorization: string;
}

const settleMs = 50;
const lookEveryMs = 5_000;

/** The policy of this sidecar; replaced as a whole when a file changes, or not at all when the new one is wrong. */
export class PolicySource {
  readonly #files: PolicyFiles;
  readonly #judge: (fleet: Fleet) => readonly Problem[];
  #current: Policy;
  #watchers: FSWatcher[] = [];
  #looks: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #seen = '';
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

  /** Tells of changes of the files, once they have settled; the folders are watched, so a rename over a file counts. */
  watch(onChange: () => void): void {
    const paths = [this.#files.fleet, this.#files.authorization];
    const names = new Set(paths.map((path) => basename(path)));
    const settle = () => {
      clearTimeout(this.#settling);
      this.#settling = setTimeout(onChange, settleMs).unref();
    };
    for (const folder of new Set(paths.map((path) => dirname(path)))) {
      const watcher = watch(folder, { persistent: false }, (_event, changed) => {
        if (changed === null || names.has(changed)) settle();
      });
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    }
    const look = async () => {
      const seen = (await Promise.all(paths.map(identity))).join();
      if (this.#seen !== '' && seen !== this.#seen) settle();
      this.#seen = seen;
    };
    this.#looks = setInterval(() => void look(), lookEveryMs).unref();
    void look();
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    clearInterval(this.#looks);
    clearTimeout(this.#settling);
  }
}

async function read(files: PolicyFiles): Promise<Policy> {
  const fleet = await loadFleet(files.fleet);
  return { fleet, matrix: await loadMatrix(files.authorization, fleet) };
}

function identity(file: string): Promise<string> {
  return stat(file, { bigint: true }).then(
    (s) => `${s.dev}:${s.ino}:${s.ctimeNs}`,
    () => 'absent',
  );
}
