import { execFile } from 'node:child_process';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';

export interface StockAnswer {
  readonly status: number;
  readonly body: string;
}

/** Two calls on one connection, as a client library makes them. */
export interface TwoCalls {
  readonly first: StockAnswer;
  readonly second: StockAnswer;
  /** Whether the second call used the connection of the first. */
  readonly reused: boolean;
}

export interface Call {
  readonly host: string;
  readonly path: string;
}

/** Makes the second call of each pair on the connection of the first, one pair after another. */
export type StockClient = (
  port: number,
  pairs: readonly (readonly [Call, Call])[],
) => Promise<readonly TwoCalls[]>;

async function eachPair(
  pairs: readonly (readonly [Call, Call])[],
  make: (first: Call, second: Call) => Promise<TwoCalls>,
): Promise<TwoCalls[]> {
  const all: TwoCalls[] = [];
  for (const [first, second] of pairs) all.push(await make(first, second));
  return all;
}

const nodeHttp: StockClient = (port, pairs) =>
  eachPair(pairs, async (first, second) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = ({ host, path }: Call) =>
      new Promise<StockAnswer & { reused: boolean }>((resolve, reject) => {
        const outgoing = request(
          { agent, host: '127.0.0.1', port, path, headers: { host } },
          async (response) => {
            let body = '';
            for await (const piece of response) body += piece;
            resolve({ status: response.statusCode as number, body, reused: outgoing.reusedSocket });
          },
        );
        outgoing.on('error', reject).end();
      });
    const one = await call(first);
    const { reused, ...two } = await call(second);
    agent.destroy();
    return { first: { status: one.status, body: one.body }, second: two, reused };
  });

const undici: StockClient = (port, pairs) =>
  eachPair(pairs, async (first, second) => {
    const client = new Client(`http://127.0.0.1:${port}`);
    let connects = 0;
    client.on('connect', () => connects++);
    const call = async ({ host, path }: Call) => {
      const { statusCode, body } = await client.request({ method: 'GET', path, headers: { host } });
      return { status: statusCode, body: await body.text() };
    };
    const answers = { first: await call(first), second: await call(second) };
    await client.close();
    return { ...answers, reused: connects === 1 };
  });

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${program}: ${error.message}: ${stderr}`)),
    );
  });
}

const python: StockClient = async (port, pairs) =>
  JSON.parse(
    await run('python3', [
      fileURLToPath(new URL('two-calls.py', import.meta.url)),
      String(port),
      JSON.stringify(pairs),
    ]),
  );

const curl: StockClient = (port, pairs) =>
  eachPair(pairs, async (first, second) => {
    const call = ({ host, path }: Call) => [
      ...['--silent', '--show-error', '--header', `Host: ${host}`],
      ...['--write-out', '\n%{http_code} %{num_connects}\n', `http://127.0.0.1:${port}${path}`],
    ];
    const out = await run('curl', [...call(first), '--next', ...call(second)]);
    const found = /^(.*)\n(\d+) \d+\n(.*)\n(\d+) (\d+)\n$/s.exec(out);
    if (found === null) throw new Error(`curl said ${JSON.stringify(out)}`);
    return {
      first: { status: Number(found[2]), body: found[1] as string },
      second: { status: Number(found[4]), body: found[3] as string },
      reused: found[5] === '0',
    };
  });

/** Clients as they are installed, with the program that each needs. */
export const stockClients: readonly {
  readonly name: string;
  readonly program?: string;
  make: StockClient;
}[] = [
  { name: 'node:http', make: nodeHttp },
  { name: 'undici', make: undici },
  { name: "Python's http.client", program: 'python3', make: python },
  { name: 'curl', program: 'curl', make: curl },
];
