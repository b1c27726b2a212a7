import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { styleText } from 'node:util';
import { dist } from '../../tools/build.ts';

/** What a call was answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface DemoStageOptions {
  /** Where commands run. */
  readonly folder: string;
  /** Waits for Enter before each step. */
  readonly waits: boolean;
  /** Ends the demo. */
  readonly signal: AbortSignal;
}

const callTimeoutMs = 30_000;

/** Where the demo plays: prints its steps, runs commands and calls, and shows each with what it gave. */
export class DemoStage {
  readonly #options: DemoStageOptions;
  #steps = 0;

  constructor(options: DemoStageOptions) {
    this.#options = options;
  }

  /** A step of the story, explained in one line; Enter goes on to it. @throws when the demo was ended */
  async step(title: string, explanation: string): Promise<void> {
    if (this.#steps > 0) await this.enter('Enter: next step, Ctrl-C: end');
    this.#options.signal.throwIfAborted();
    this.#steps++;
    console.log(`\n${styleText('bold', `${this.#steps}. ${title}`)}\n   ${explanation}\n`);
  }

  /** Waits until Enter is pressed, or for nothing with `--yes`. @throws when the demo was ended */
  async enter(prompt: string): Promise<void> {
    const { waits, signal } = this.#options;
    if (!waits) return;
    const lines = createInterface({ input: process.stdin });
    process.stdout.write(`\n${styleText('dim', prompt)} `);
    try {
      await once(lines, 'line', { signal });
    } finally {
      lines.close();
    }
  }

  /** Runs `countersign` and prints the command and its output. */
  async countersign(...words: readonly string[]): Promise<string> {
    const { folder: cwd, signal } = this.#options;
    console.log(styleText('cyan', `$ countersign ${words.join(' ')}`));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    execFile(join(dist, 'countersign'), words, { cwd, signal }, (error, stdout, stderr) => {
      // Exit code 1 is an answer: no.
      if (error === null || error.code === 1) resolve(`${stdout}${stderr}`);
      else reject(error);
    });
    const output = await promise;
    console.log(output.trimEnd());
    return output;
  }

  /** Calls through a proxy, as an app does, and prints the call and its answer. */
  async call(proxyPort: number, method: string, url: string, body?: object): Promise<Answer> {
    const data = body === undefined ? '' : ` -d '${JSON.stringify(body)}'`;
    console.log(
      styleText('cyan', `$ http_proxy=http://127.0.0.1:${proxyPort} curl -X ${method}${data} ${url}`),
    );
    const headers = { host: new URL(url).host, ...(body && { 'content-type': 'application/json' }) };
    const asked = request({
      host: '127.0.0.1',
      port: proxyPort,
      method,
      path: url,
      headers,
      agent: false,
      timeout: callTimeoutMs,
      signal: this.#options.signal,
    });
    asked.once('timeout', () => asked.destroy(new Error(`${url}: no answer within 30 s`)));
    asked.end(body && JSON.stringify(body));
    const [response] = await once(asked, 'response');
    let text = '';
    for await (const part of response.setEncoding('utf8')) text += part;
    const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text;
    console.log(`${response.statusCode} ${shown}`);
    return { status: response.statusCode, text };
  }
}
