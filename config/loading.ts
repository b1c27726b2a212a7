import { ConfigError, type Problem } from './problem.ts';

/** Everything that is wrong with the files of one program, one line each. Programs exit with 78 (EX_CONFIG). */
export class FilesError extends Error {
  readonly code = 'bad-configuration';
  constructor(errors: readonly Error[]) {
    super([...new Set(errors.flatMap((error) => error.message.split('\n')))].join('\n'));
    this.name = 'FilesError';
  }
}

/** Reads several files and keeps what is wrong with each, so that all of it is told at once. */
export class Loading {
  readonly #kinds: readonly (abstract new (
    ...of: never[]
  ) => Error)[];
  readonly #errors: Error[] = [];

  /** @param kinds errors that say what is wrong with a file; others are thrown on */
  constructor(...kinds: (abstract new (...of: never[]) => Error)[]) {
    this.#kinds = [ConfigError, FilesError, ...kinds];
  }

  /** Loads a file. @returns undefined when none is named, or it is wrong */
  async file<T>(load: (file: string) => T | Promise<T>, file: string | undefined): Promise<T | undefined> {
    try {
      return file === undefined ? undefined : await load(file);
    } catch (error) {
      if (!this.#kinds.some((kind) => error instanceof kind)) throw error;
      this.#errors.push(error as Error);
      return undefined;
    }
  }

  /** Keeps problems that show only when several files are compared. */
  add(problems: readonly Problem[]): void {
    if (problems.length > 0) this.#errors.push(new ConfigError(problems));
  }

  /** @throws {FilesError} when anything was wrong */
  end(): void {
    if (this.#errors.length > 0) throw new FilesError(this.#errors);
  }
}
