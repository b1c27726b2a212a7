import type { Logger } from 'pino';
import { Counter, Gauge, Registry } from 'prom-client';
import { replaceFile } from '../files/replace-file.ts';
import type { Alarm } from './decide.ts';
import type { Judgement } from './rule.ts';

/** The same alarm is given again after this long if its cause lasts. */
const againAfterMs = 3_600_000;
const webhookTimeoutMs = 5_000;

export interface AlarmSinks {
  readonly logger: Logger;
  /** A file for the textfile collector. */
  readonly metrics: string | undefined;
  readonly webhook: string | undefined;
  /** Names the host in what the webhook gets. */
  readonly host: string;
}

/** Tells people: a log line, a counter, a POST. None of them can stop the guard. */
export class Alarms {
  readonly #sinks: AlarmSinks;
  readonly #raised = new Map<string, number>();
  readonly #registry = new Registry();
  readonly #alarms: Counter;
  readonly #rollbacks: Counter;
  readonly #restarts: Counter;
  readonly #gauges: Readonly<Record<'calls' | 'failures' | 'baking' | 'last_look_timestamp_seconds', Gauge>>;
  #pending: Promise<unknown> = Promise.resolve();

  constructor(sinks: AlarmSinks) {
    this.#sinks = sinks;
    const registers = [this.#registry];
    const counter = (name: string, help: string, labelNames: string[] = []) =>
      new Counter({ name: `countersign_guard_${name}`, help, labelNames, registers });
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `countersign_guard_${name}`, help, registers });
    this.#alarms = counter('alarms_total', 'Alarms by kind.', ['kind']);
    this.#rollbacks = counter('rollbacks_total', 'Swaps back to the logging binary.');
    this.#restarts = counter('restarts_total', 'Restarts of the enforcing binary.');
    this.#gauges = {
      calls: gauge('calls', 'Calls of proven callers in the last five minutes.'),
      failures: gauge('failures', 'Failures among them that count.'),
      baking: gauge('baking', '1 while a failure may roll back.'),
      last_look_timestamp_seconds: gauge('last_look_timestamp_seconds', 'When the guard last looked.'),
    };
  }

  /** Gives an alarm, unless the same one was given within the hour and its cause never went away. */
  raise({ kind, text }: Alarm, nowMs: number): void {
    const before = this.#raised.get(kind);
    if (before !== undefined && nowMs - before < againAfterMs) return;
    this.#raised.set(kind, nowMs);
    this.#alarms.inc({ kind });
    this.#sinks.logger.error({ event: 'alarm', kind }, text);
    if (this.#sinks.webhook !== undefined) this.#pending = this.#post(this.#sinks.webhook, kind, text, nowMs);
  }

  /** Forgets the alarms whose cause is gone. */
  clearAllBut(kinds: ReadonlySet<string>): void {
    for (const kind of this.#raised.keys()) if (!kinds.has(kind)) this.#raised.delete(kind);
  }

  acted(act: 'rollback' | 'restart'): void {
    (act === 'rollback' ? this.#rollbacks : this.#restarts).inc();
  }

  /** Writes the metric file, if there is to be one. */
  async looked(judgement: Judgement, baking: boolean, nowMs: number): Promise<void> {
    const { metrics, logger } = this.#sinks;
    this.#gauges.calls.set(judgement.calls);
    this.#gauges.failures.set(judgement.failures);
    this.#gauges.baking.set(baking ? 1 : 0);
    this.#gauges.last_look_timestamp_seconds.set(Math.floor(nowMs / 1000));
    if (metrics === undefined) return;
    try {
      await replaceFile(metrics, await this.#registry.metrics(), { mode: 0o644, draft: 'fixed' });
    } catch (err) {
      logger.error({ event: 'metrics-unwritten', file: metrics, err }, 'the metric file cannot be written');
    }
  }

  /** Resolves when the webhook has been told, or could not be. */
  async settled(): Promise<void> {
    await this.#pending;
  }

  async #post(url: string, kind: string, text: string, nowMs: number): Promise<void> {
    const body = JSON.stringify({ host: this.#sinks.host, kind, text, time: new Date(nowMs).toISOString() });
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(webhookTimeoutMs),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
    } catch (err) {
      // The URL may hold a token: it stays out of the log.
      this.#sinks.logger.error(
        { event: 'webhook-failed', kind, reason: (err as Error).message },
        'the webhook was not told',
      );
    }
  }
}
