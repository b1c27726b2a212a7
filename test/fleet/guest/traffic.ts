import { appendFileSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { argv } from 'node:process';

/** A call that a host makes again and again. */
export interface Call {
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  /** As HTTP_PROXY (absolute form), or by the Host field. */
  readonly form: 'proxy' | 'host';
}

export interface Plan {
  readonly outbound: number;
  readonly calls: readonly Call[];
  /** Milliseconds between two rounds through all calls. */
  readonly everyMs: number;
}

export interface Lost {
  /** When the call was made, milliseconds since the epoch. */
  readonly at: number;
  readonly callee: string;
  readonly call: string;
  readonly what: string;
}

/** A line of the log: what came of the calls that ended since the line before. */
export interface TrafficLine {
  readonly at: number;
  readonly served: number;
  readonly lost: readonly Lost[];
}

/**
 * Steady traffic from one host: `traffic.ts PLAN LOG`. A call is served when the app at its other end answers it within
 * five seconds; everything else is a call lost, and named in the log. Nothing is tried twice.
 */
const [, , planFile = '', log = ''] = argv;
const plan = JSON.parse(readFileSync(planFile, 'utf8')) as Plan;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let served = 0;
let lost: Lost[] = [];

function make(call: Call): void {
  const at = Date.now();
  const lose = (what: string) => {
    lost.push({ at, callee: call.callee, call: `${call.method} ${call.path}`, what });
  };
  const outgoing = request(
    {
      host: '127.0.0.1',
      port: plan.outbound,
      agent,
      method: call.method,
      path: call.form === 'proxy' ? `http://${call.callee}${call.path}` : call.path,
      headers: {
        host: call.callee,
        ...(call.body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(call.body) }),
      },
      timeout: 5_000,
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', (error) => lose(`answer cut short: ${error.message}`));
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        // The core answers 404 to what AutoBot's matrix allows beyond the core's API: an answer of the app all the same.
        const ofTheApp = status < 300 || (status === 404 && !text.includes('"reason"'));
        if (status >= 200 && ofTheApp) served += 1;
        else lose(`${status} ${text.slice(0, 400)}`);
      });
    },
  );
  outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 5 s')));
  outgoing.on('error', (error) => lose(error.message));
  outgoing.end(call.body);
}

plan.calls.forEach((call, index) => {
  // Spread over the round, so that the two cores see a stream and not a drum.
  setTimeout(() => setInterval(make, plan.everyMs, call), (index * plan.everyMs) / plan.calls.length);
});

setInterval(() => {
  const line: TrafficLine = { at: Date.now(), served, lost };
  served = 0;
  lost = [];
  appendFileSync(log, `${JSON.stringify(line)}\n`);
}, 200);
