import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import fc from 'fast-check';
import t from 'tap';
import { tempFolder } from '../../support/temp-folder.ts';
import { readMessages } from './message-reader.ts';
import { breakage, broken, message } from './streams.ts';

/**
 * What another parser found in a stream; `messages` is null where it tells none of a stream that it refused. `unfinished`:
 * it waits for more.
 */
interface Found {
  readonly messages: readonly { method: string; target: string; body: string }[] | null;
  readonly end: 'refused' | 'unfinished' | 'closed';
}

/** A program that reads streams, one a line. */
class OtherParser {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: PromiseWithResolvers<Found>[] = [];

  constructor(command: readonly [string, ...string[]]) {
    const [program, ...words] = command;
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines.on('line', (line) => this.#waiting.shift()?.resolve(JSON.parse(line) as Found));
    this.#child.once('close', (code) => {
      for (const each of this.#waiting.splice(0)) each.reject(new Error(`${program} ended with ${code}`));
    });
    this.#child.stdin?.on('error', () => {});
    t.teardown(() => this.#child.kill());
  }

  read(stream: Buffer): Promise<Found> {
    this.#child.stdin?.write(`${stream.toString('base64')}\n`);
    const waiting = Promise.withResolvers<Found>();
    this.#waiting.push(waiting);
    if (this.#child.exitCode !== null) waiting.reject(new Error('the parser has ended'));
    return waiting.promise;
  }
}

const program = (name: string) => join(import.meta.dirname, 'parsers', name);
const compiled = join(await tempFolder(t), 'read-streams');
execFileSync('go', ['build', '-o', compiled, program('read_streams.go')], {
  env: { ...process.env, GOCACHE: join(await tempFolder(t), 'go'), GOFLAGS: '-mod=mod', CGO_ENABLED: '0' },
});
const parsers: Readonly<Record<string, OtherParser>> = {
  h11: new OtherParser(['/usr/bin/python3', program('read_streams.py'), 'h11']),
  aiohttp: new OtherParser(['/usr/bin/python3', program('read_streams.py'), 'aiohttp']),
  'net/http of Go': new OtherParser([compiled]),
};

/** What was hard for some parser once. Whatever of it we accept has to be the same to the others. */
const corpus = [
  'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n0123456789',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n',
  'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n',
  'GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
  'GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1 \r\nHost: a\r\n\r\n',
  'GET / http/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n',
  'G\x7fT / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: a\r\n\r\n',
  '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
];

/** What we accept and serve is, to the other parser, the same message or a refusal: it never ends elsewhere. */
function disagreement(stream: Buffer, { messages, end }: Found): string | undefined {
  if (messages === null) return undefined;
  const ours = readMessages(stream, [stream.length]);
  for (const [index, one] of ours.entries()) {
    const theirs = messages[index];
    if (theirs === undefined) {
      if (end === 'refused' || (end === 'closed' && index > 0)) return undefined;
      return `message ${index + 1} is ${JSON.stringify(one)}, to them the stream is ${end}`;
    }
    if (theirs.method !== one.method || theirs.target !== one.target || theirs.body !== one.body)
      return `message ${index + 1} is ${JSON.stringify(one)}, to them ${JSON.stringify(theirs)}`;
  }
  return undefined;
}

for (const [name, parser] of Object.entries(parsers)) {
  t.test(`whatever we accept of what was hard once is the same to ${name}`, async (t) => {
    for (const text of corpus) {
      const stream = Buffer.from(text, 'latin1');
      t.equal(disagreement(stream, await parser.read(stream)), undefined, JSON.stringify(text));
    }
  });

  t.test(`we and ${name} agree on where every message ends`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), async (messages) => {
        const stream = Buffer.from(messages.join(''), 'latin1');
        const found = await parser.read(stream);
        const ours = readMessages(stream, [stream.length]);
        if (JSON.stringify(found.messages) !== JSON.stringify(ours))
          throw new Error(`${JSON.stringify(ours)} is not ${JSON.stringify(found)}`);
      }),
      { numRuns: 300 },
    );
    t.pass('300 streams');
  });

  t.test(`what is broken, we never read as something else than ${name}`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 3 }),
        breakage,
        async (messages, fault) => {
          const stream = Buffer.from(broken(messages.join(''), fault), 'latin1');
          const found = disagreement(stream, await parser.read(stream));
          if (found !== undefined) throw new Error(`${JSON.stringify(stream.toString('latin1'))}: ${found}`);
        },
      ),
      { numRuns: 600 },
    );
    t.pass('600 broken streams');
  });
}
