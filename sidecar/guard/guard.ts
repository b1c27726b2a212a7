import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { formatAddress, type ListenAddress } from '../../config/address.ts';
import { Alarms } from './alarms.ts';
import { run, runAll } from './commands.ts';
import { type Alarm, type Decision, decide, freshState, type GuardState, isWell } from './decide.ts';
import { type Executable, wasReplaced } from './executable.ts';
import { type GatedReport, loadGatedReport } from './gated-report.ts';
import type { GuardConfig } from './guard-config.ts';
import { type Reading, readSidecar } from './reading.ts';
import { StateFile } from './state-file.ts';
import { Watch } from './watch.ts';

/** A rollback that did not bring the logging binary back is tried again after this long. */
const rollbackPauseMs = 30_000;
/** Started, starting, or failed: what ought to run. */
const wantedStates: ReadonlySet<string> = new Set(['active', 'activating', 'reloading', 'failed']);

export interface GuardOptions {
  readonly config: GuardConfig;
  readonly logger: Logger;
  /** Names this host in what the webhook gets. */
  readonly host: string;
  readonly signal: AbortSignal;
  /** What this process runs; undefined where a restart would start the same program anyway. */
  readonly executable?: Executable | undefined;
}

/** Watches the local sidecar until told to stop: looks, decides, acts. No fault of what it watches ends it. */
export class Guard {
  readonly #config: GuardConfig;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #alarms: Alarms;
  readonly #file: StateFile;
  readonly #watch: Watch;
  #state: GuardState;
  #report: GatedReport;
  readonly #executable: Executable | undefined;
  #misses = 0;
  #restartedAtMs = Number.NEGATIVE_INFINITY;
  #rolledBackAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: GuardOptions, report: GatedReport, file: StateFile, state: GuardState) {
    const { config, logger, host, signal, executable } = options;
    this.#executable = executable;
    this.#config = config;
    this.#logger = logger;
    this.#signal = signal;
    this.#report = report;
    this.#watch = new Watch();
    this.#file = file;
    this.#state = state;
    this.#alarms = new Alarms({ logger, host, metrics: config.metrics, webhook: config.webhook });
  }

  /** @throws {import('../../config/load.ts').ConfigError} when there is no gate file */
  static async open(options: GuardOptions): Promise<Guard> {
    const report = await loadGatedReport(options.config.gated);
    const file = new StateFile(options.config.state);
    const state = await file.read();
    if (state === undefined)
      options.logger.error(
        { event: 'state-broken', file: file.file },
        'the state cannot be read: the bake window begins anew',
      );
    return new Guard(options, report, file, state ?? freshState);
  }

  /** Resolves when the signal is aborted, or this program was replaced, and the last alarm is out. */
  async run(): Promise<void> {
    const { admin, bake, poll } = this.#config;
    this.#logger.info(
      { event: 'watching', admin, bake_ms: bake, poll_ms: poll },
      'watching the local sidecar',
    );
    while (!this.#signal.aborted) {
      if (await wasReplaced(this.#executable)) {
        this.#logger.info(
          { event: 'replaced' },
          'this program was replaced: ending, so that the current one starts',
        );
        break;
      }
      try {
        await this.#look();
      } catch (err) {
        this.#logger.error({ event: 'look-failed', err }, 'a look at the sidecar failed; looking again');
      }
      await sleep(poll, undefined, { signal: this.#signal }).catch(() => {});
    }
    await this.#alarms.settled();
  }

  async #look(): Promise<void> {
    const { admin, commands, bake, ready_within } = this.#config;
    const reading = await readSidecar(adminUrl(admin));
    const active = await run(commands.state);
    await this.#reload();
    const [nowMs, steadyMs] = [Date.now(), performance.now()];
    if (reading.status?.phase === 'enforcing') this.#watch.add(reading, this.#report, steadyMs, nowMs);
    const metrics = reading.allowed !== undefined;
    this.#misses = isWell({ status: reading.status, metrics }) ? 0 : this.#misses + 1;
    const look = {
      status: reading.status,
      metrics,
      enforcingWanted: active.stdout.split(/\s+/).some((state) => wantedStates.has(state)),
      gate: this.#report.id,
      ungated: reading.status !== undefined && reading.status.matrix !== this.#report.matrix,
      judgement: this.#watch.judgement,
      unproven: this.#watch.unproven,
      unprovenPeers: this.#watch.unprovenPeers,
      plainAfterSealed: this.#watch.plainAfterSealed,
      misses: this.#misses,
      restartedAgoMs: steadyMs - this.#restartedAtMs,
    };
    const decision = decide(this.#state, look, nowMs, { bakeMs: bake, readyWithinMs: ready_within });
    await this.#remember(decision.state, reading);
    await this.#act(decision, nowMs, steadyMs);
    const { swap } = this.#state;
    const baking = swap !== undefined && nowMs - swap.sinceMs < bake;
    await this.#alarms.looked(this.#watch.judgement, baking, nowMs);
  }

  /** A new swap is judged by itself: what was counted before it is forgotten. */
  async #remember(state: GuardState, reading: Reading): Promise<void> {
    const before = this.#state.swap?.sinceMs;
    this.#state = state;
    await this.#file.write(state);
    const { swap } = state;
    if (before === swap?.sinceMs) return;
    this.#watch.clear();
    if (swap === undefined) {
      this.#logger.info({ event: 'idle' }, 'the logging binary serves: nothing to watch');
      return;
    }
    this.#watch.add(reading, this.#report, performance.now(), swap.sinceMs);
    const until = new Date(swap.sinceMs + this.#config.bake).toISOString();
    const text = `the enforcing binary serves: baking until ${until}`;
    this.#logger.info({ event: 'swap', gate: swap.gate, until }, text);
  }

  async #act({ alarms, act }: Decision, nowMs: number, steadyMs: number): Promise<void> {
    const raised: Alarm[] = [...alarms];
    for (const alarm of alarms) this.#alarms.raise(alarm, nowMs);
    const { commands } = this.#config;
    if (act === 'restart') {
      this.#restartedAtMs = steadyMs;
      raised.push(...(await this.#run(act, commands.restart, nowMs)));
    }
    if (act === 'rollback' && steadyMs - this.#rolledBackAtMs >= rollbackPauseMs) {
      raised.push(...(await this.#run(act, commands.rollback, nowMs)));
      this.#rolledBackAtMs = performance.now();
    }
    this.#alarms.clearAllBut(new Set(raised.map(({ kind }) => kind)));
  }

  async #run(
    act: 'rollback' | 'restart',
    argvs: readonly (readonly string[])[],
    nowMs: number,
  ): Promise<Alarm[]> {
    const faults = await runAll(argvs);
    this.#alarms.acted(act);
    if (faults.length === 0) {
      this.#logger.warn({ event: act, state: this.#state.lastRollback }, `${act} done`);
      return [];
    }
    const alarm = { kind: `${act}-failed` as const, text: `${act} failed: ${faults.join('; ')}` };
    this.#alarms.raise(alarm, nowMs);
    return [alarm];
  }

  /** The gate file of a later swap takes the place of this one's; a broken one does not. */
  async #reload(): Promise<void> {
    try {
      const report = await loadGatedReport(this.#config.gated);
      if (report.id !== this.#report.id) this.#report = report;
    } catch (err) {
      this.#logger.error(
        { event: 'gate-unreadable', err },
        'the gate file cannot be read: going by the one before',
      );
    }
  }
}

/** How `readSidecar` is told where an admin listener is. */
export function adminUrl(address: ListenAddress): string {
  return 'path' in address ? formatAddress(address) : `http://${formatAddress(address)}`;
}
