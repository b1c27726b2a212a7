import type { ModelTransport } from './transport.ts';

const answerLimitBytes = 4 * 1024 * 1024;
const rememberedMs = 10_000;
const responseMs = 2_000;

/** A model as its server lists it. */
export type ServedModel = { readonly id: string } & Readonly<Record<string, unknown>>;

/** What the model server says that it serves, asked for at most every ten seconds. */
export class ServedModels {
  readonly #transport: ModelTransport;
  #known:
    | { readonly models: Promise<readonly ServedModel[] | undefined>; readonly until: number }
    | undefined;

  constructor(transport: ModelTransport) {
    this.#transport = transport;
  }

  /** Undefined when the server does not say. */
  list(): Promise<readonly ServedModel[] | undefined> {
    if (this.#known === undefined || this.#known.until < performance.now()) {
      this.#known = { models: this.#ask(), until: performance.now() + rememberedMs };
    }
    return this.#known.models;
  }

  async #ask(): Promise<readonly ServedModel[] | undefined> {
    const signal = AbortSignal.timeout(2 * responseMs);
    try {
      const answer = await this.#transport.json(
        { method: 'GET', path: '/v1/models', signal, responseMs },
        answerLimitBytes,
      );
      const { data } = (answer ?? {}) as { data?: unknown };
      if (!Array.isArray(data)) return undefined;
      return data.filter((model): model is ServedModel => typeof model?.id === 'string');
    } catch {
      return undefined;
    }
  }
}
