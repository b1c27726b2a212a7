import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { argv } from 'node:process';

/** What came of a call. */
export interface Outcome {
  /** 0 without an answer. */
  readonly status: number;
  /** Whether the answer ended as HTTP says that it ends. */
  readonly complete: boolean;
  readonly length: number;
  readonly sha256: string;
  /** The refusal's reason, when it is one of a sidecar. */
  readonly reason: string;
}

/** One call through the sidecar of this host: `call.ts CALLEE PATH BODY`. Prints the outcome as JSON. */
const [, , callee = '', path = '', body = ''] = argv;
const pieces: Buffer[] = [];
const print = (status: number, complete: boolean) => {
  const bytes = Buffer.concat(pieces);
  const reason = /"reason":\s*"([a-z-]+)"/.exec(bytes.toString('latin1'))?.[1] ?? '';
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  console.log(JSON.stringify({ status, complete, length: bytes.length, sha256, reason } satisfies Outcome));
  process.exit();
};
const headers = { host: callee, 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) };
request({ host: '127.0.0.1', port: 15001, method: 'POST', path, headers, agent: false }, (response) => {
  const { statusCode = 0 } = response;
  response.on('data', (piece: Buffer) => pieces.push(piece));
  response.on('error', () => {});
  response.on('close', () => print(statusCode, response.complete));
})
  .on('error', () => print(0, false))
  .end(body);
