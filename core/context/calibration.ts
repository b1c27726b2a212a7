import { Gauge, Histogram, type Registry } from 'prom-client';

/** How fast what was learned is forgotten when the estimate turns out to be enough. */
const decay = 0.1;
const scaleLimit = 4;
const entryLimit = 10_000;

/**
 * Learns by how much the estimate has to grow for the texts of a caller and a model. It grows at once and shrinks slowly,
 * never below the estimate itself. What one caller's texts teach holds for that caller only; a call without a proven
 * caller teaches nothing.
 */
export class Calibration {
  readonly #scales = new Map<string, number>();
  readonly #error: Histogram<'model'>;
  readonly #scale: Gauge<'model'>;

  constructor(registry: Registry) {
    this.#error = new Histogram({
      name: 'countersign_core_token_estimate_error_ratio',
      help: 'Planned prompt tokens over those that the model counted, less one.',
      labelNames: ['model'],
      buckets: [-0.5, -0.25, -0.1, -0.05, -0.01, 0, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2],
      registers: [registry],
    });
    this.#scale = new Gauge({
      name: 'countersign_core_token_estimate_scale',
      help: 'The largest factor that the estimate was last multiplied with for a caller of this model.',
      labelNames: ['model'],
      registers: [registry],
    });
  }

  /** Factor for the estimate, 1 to 4. */
  scaleOf(caller: string | undefined, model: string): number {
    return caller === undefined ? 1 : (this.#scales.get(keyOf(caller, model)) ?? 1);
  }

  /**
   * Takes in one report.
   *
   * @param label the model as a metric label: only configured names, or clients could make metrics at will
   * @param planned what was planned for the prompt
   * @param scale the factor that it was planned with; undefined when it was counted rather than estimated
   * @param counted `usage.prompt_tokens` of the model; anything but a positive number is ignored
   */
  learn(
    report: {
      caller: string | undefined;
      model: string;
      label: string;
      planned: number;
      scale: number | undefined;
    },
    counted: unknown,
  ): void {
    const { caller, model, label, planned, scale } = report;
    if (typeof counted !== 'number' || !(counted > 0) || !(planned > 0)) return;
    this.#error.observe({ model: label }, planned / counted - 1);
    if (scale === undefined || caller === undefined) return;
    const key = keyOf(caller, model);
    const needed = Math.min(scaleLimit, Math.max(1, (scale * counted) / planned));
    const before = this.#scales.get(key) ?? 1;
    const after = needed > before ? needed : before + decay * (needed - before);
    this.#scales.delete(key);
    this.#scales.set(key, after);
    if (this.#scales.size > entryLimit) this.#scales.delete(this.#scales.keys().next().value as string);
    this.#scale.set({ model: label }, after);
  }
}

function keyOf(caller: string, model: string): string {
  return `${caller}\0${model}`;
}
