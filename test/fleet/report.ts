/** Steps and assertions of a long story: each is printed as it happens, and counted. */
export class Report {
  #passed = 0;
  #failed: string[] = [];
  readonly #started = Date.now();

  /** A chapter of the story. */
  chapter(title: string): void {
    console.log(`\n# ${title}  (${this.elapsed()})`);
  }

  note(text: string): void {
    console.log(`    ${text}`);
  }

  /** One assertion; a failure is noted and the story goes on. @returns whether it held */
  check(holds: boolean, title: string, otherwise?: unknown): boolean {
    if (holds) {
      this.#passed += 1;
      console.log(`ok   ${title}`);
      return true;
    }
    this.#failed.push(title);
    console.log(`FAIL ${title}`);
    if (otherwise !== undefined) {
      const text = typeof otherwise === 'string' ? otherwise : JSON.stringify(otherwise, null, 2);
      console.log(indent(text.split('\n').slice(-60).join('\n')));
    }
    return false;
  }

  equal<T extends string | number | boolean | null | undefined>(
    found: T,
    expected: T,
    title: string,
  ): boolean {
    return this.check(Object.is(found, expected), title, `found ${found}, expected ${expected}`);
  }

  /** What ended the story before its end. */
  broke(error: unknown): void {
    this.check(false, 'the story runs to its end', error instanceof Error ? error.stack : String(error));
  }

  elapsed(): string {
    const seconds = Math.round((Date.now() - this.#started) / 1000);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }

  /** Prints the summary. @returns whether all held */
  end(): boolean {
    console.log('');
    for (const title of this.#failed) console.log(`FAIL ${title}`);
    console.log(`fleet test: done in ${this.elapsed()}`);
    console.log(`${this.#passed} passed, ${this.#failed.length} failed`);
    return this.#failed.length === 0;
  }
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `       ${line}`)
    .join('\n');
}
