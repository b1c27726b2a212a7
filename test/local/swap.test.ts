import { Agent } from 'node:http';
import t from 'tap';
import type { LocalService } from '../../sidecar/local/layout.ts';
import type { LocalFleet } from '../../sidecar/local/local-fleet.ts';
import { httpCall } from '../support/http-call.ts';
import { startLocalFleet } from '../support/local-fleet.ts';
import { type PairSecret, pairSecret, signPost } from '../support/sign-by-hand.ts';

/** Each swaps three sidecars. */
const rounds = 34;

t.test(
  '102 swaps under load: none refused, none broken, none accepted twice',
  { timeout: 280_000 },
  async (t) => {
    const { fleet, folder, at } = await startLocalFleet(t);
    const [backend, npu] = [at('main-backend'), at('npu-worker')];
    const secret = await pairSecret(folder.keyringOf('main-backend'), 'npu-worker');
    const load = new Load(backend, npu, secret);
    const running = load.run();

    const swaps: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const phase = round % 2 === 0 ? 'enforcing' : 'logging';
      const swapped = await fleet.swapTo(phase);
      for (const { error, ms } of swapped) {
        if (error !== undefined) t.fail(error);
        swaps.push(ms ?? Number.NaN);
      }
      await answersIn(phase, fleet, npu);
    }
    load.stop();
    await running;

    t.equal(swaps.length, 3 * rounds);
    t.strictSame(load.faults.slice(0, 5), [], `of ${load.calls} calls none was refused or broken`);
    t.ok(load.calls > 10 * rounds, `${load.calls} calls went through during the swaps`);
    t.ok(load.streams > 0, `${load.streams} streams of events ended as they should`);
    t.strictSame(load.acceptedTwice, [], `${load.signed} signed requests were each sent three times`);
    t.strictSame(load.neverAccepted, [], 'and each was accepted once');
    swaps.sort((a, b) => a - b);
    t.comment(
      `from SIGTERM to readiness: median ${swaps[swaps.length >> 1]?.toFixed(0)} ms, longest ${swaps.at(-1)?.toFixed(0)} ms`,
    );
  },
);

/** What an unsigned call gets says which binary answers: the phase is what was asked for, not only what is claimed. */
async function answersIn(phase: string, fleet: LocalFleet, npu: LocalService): Promise<void> {
  const { status } = await httpCall(npu.inbound, { target: '/api/process', method: 'POST', body: '{}' });
  const expected = phase === 'enforcing' ? 401 : 200;
  if (status !== expected || fleet.phaseOf(npu.name) !== phase) throw new Error(`${status} under ${phase}`);
}

/** Calls of every kind, each as soon as the one before has its answer. */
class Load {
  calls = 0;
  streams = 0;
  signed = 0;
  readonly faults: string[] = [];
  readonly acceptedTwice: string[] = [];
  readonly neverAccepted: string[] = [];
  readonly #backend: LocalService;
  readonly #npu: LocalService;
  readonly #secret: PairSecret;
  #stopped = false;

  constructor(backend: LocalService, npu: LocalService, secret: PairSecret) {
    this.#backend = backend;
    this.#npu = npu;
    this.#secret = secret;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    const kept = new Agent({ keepAlive: true, maxSockets: 4 });
    const sharing = new Agent({ keepAlive: true });
    await Promise.all([
      // So many at once that they share connections between the two sidecars.
      ...Array.from({ length: 16 }, (_, i) => this.#repeat('status', () => this.#status(sharing, i))),
      ...Array.from({ length: 4 }, () => this.#repeat('kept connection', () => this.#process(kept))),
      ...Array.from({ length: 2 }, () => this.#repeat('own connection', () => this.#process())),
      this.#repeat('events', () => this.#events()),
      this.#repeat('replay', () => this.#replay()),
    ]);
    kept.destroy();
    sharing.destroy();
  }

  async #repeat(kind: string, call: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await call();
        this.calls++;
      } catch (error) {
        this.faults.push(`${kind}: ${(error as Error).message}`);
      }
    }
  }

  async #process(agent?: Agent): Promise<void> {
    const input = { number: this.calls, filling: 'x'.repeat(2000) };
    const { status, text } = await httpCall(this.#backend.outbound, {
      target: 'http://npu-worker/api/process',
      method: 'POST',
      body: JSON.stringify(input),
      ...(agent && { agent }),
    });
    if (status !== 200) throw new Error(`${status} ${text}`);
    const { caller, result } = JSON.parse(text) as { caller: string; result: { input: { number: number } } };
    if (caller !== 'main-backend' || result.input.number !== input.number) throw new Error(`found ${text}`);
  }

  async #status(agent: Agent, i: number): Promise<void> {
    const id = `nobody-${i}-${this.calls}`;
    const target = `http://npu-worker/api/status/${id}`;
    const { status, text } = await httpCall(this.#backend.outbound, { target, agent });
    if (status !== 404 || !text.includes(id)) throw new Error(`${status} ${text}`);
  }

  async #events(): Promise<void> {
    const target = 'http://npu-worker/api/events?count=8';
    const { status, text } = await httpCall(this.#backend.outbound, { target });
    if (status !== 200 || text.split('\n\n').length !== 9) throw new Error(`${status} ${text}`);
    this.streams++;
  }

  /** One signed request, sent at once, again, and again when at least one swap later. */
  async #replay(): Promise<void> {
    const body = `{"number":${this.signed}}`;
    const headers = signPost(this.#secret, 'npu-worker', '/api/process', body);
    const send = async () => {
      const answer = await httpCall(this.#npu.inbound, {
        target: '/api/process',
        method: 'POST',
        headers,
        body,
      });
      return accepted(answer.status, answer.text);
    };
    const results = await Promise.all([send(), send()]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    results.push(await send());
    this.signed++;
    const times = results.filter(Boolean).length;
    if (times > 1) this.acceptedTwice.push(`${headers.signature}`);
    if (times === 0) this.neverAccepted.push(`${headers.signature}`);
  }
}

/** The logging binary forwards a replay, but without its caller's name. */
function accepted(status: number, text: string): boolean {
  if (status === 401 && (JSON.parse(text) as { reason: string }).reason === 'replayed') return false;
  if (status !== 200) throw new Error(`${status} ${text}`);
  return (JSON.parse(text) as { caller: string }).caller === 'main-backend';
}
