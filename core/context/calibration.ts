import { Gauge, Histogram, type Registry } from 'prom-client';

/** How much one observation moves what was learned. */
const weight = 0.2;
const scaleRange = { min: 0.25, max: 4 };
const modelLimit = 1000;

/** Learns, for each model, how its own token counts differ from the estimate. */
export class Calibration {
  readonly #scales = new Map<string, number>();
  readonly #error: Histogram<'model'>;
  readonly #scale: Gauge<'model'>;

  constructor(registry: Registry) {
    this.#error = new Histogram({
      name: 'countersign_core_token_estimate_error_ratio',
      help: 'Estimated prompt tokens over those that the model counted, less one.',
      labelNames: ['model'],
      buckets: [-0.5, -0.25, -0.1, -0.05, 0, 0.05, 0.1, 0.25, 0.5, 1, 2],
      registers: [registry],
    });
    this.#scale = new Gauge({
      name: 'countersign_core_token_estimate_scale',
      help: 'What the first estimate is multiplied with, as learned from the usage that the model reports.',
      labelNames: ['model'],
      registers: [registry],
    });
  }

  /** Factor for the estimate, 0.25 to 4; 1 for a model that has reported nothing yet. */
  scaleOf(model: string): number {
    return this.#scales.get(model) ?? 1;
  }

  /**
   * Takes in one report.
   *
   * @param label the model as a metric label: only configured names, lest clients make metrics at will
   * @param estimated what was estimated for the prompt, with `scale`
   * @param counted `usage.prompt_tokens` of the model; anything but a positive number is ignored
   */
  learn(model: string, label: string, estimated: number, scale: number, counted: unknown): void {
    if (typeof counted !== 'number' || !(counted > 0) || !(estimated > 0)) return;
    this.#error.observe({ model: label }, estimated / counted - 1);
    const target = clamp((scale * counted) / estimated);
    const before = this.#scales.get(model);
    if (before === undefined && this.#scales.size >= modelLimit) return;
    const after = before === undefined ? target : before + weight * (target - before);
    this.#scales.set(model, after);
    this.#scale.set({ model: label }, after);
  }
}

function clamp(scale: number): number {
  return Math.min(scaleRange.max, Math.max(scaleRange.min, scale));
}
