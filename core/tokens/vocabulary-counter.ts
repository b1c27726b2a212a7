import type { Worker } from 'node:worker_threads';
import { PendingReplies } from '../../config/pending-replies.ts';
import { startWorker } from '../../config/program.ts';
import type { Prompt } from './prompt.ts';
import { CountUnavailable, type PromptCounter, TemplateRefusal } from './token-source.ts';
import { readVocabulary } from './vocabularies.ts';
import type { VocabularyReply, VocabularyRequest } from './vocabulary-worker.ts';

type Asked = VocabularyRequest extends infer One ? (One extends unknown ? Omit<One, 'id'> : never) : never;

/** Counts with tokenizers that are files, in a worker thread of its own that starts when it is first needed. */
export class VocabularyThread {
  readonly #pending = new PendingReplies<number>();
  readonly #loaded = new Map<string, Promise<number>>();
  #worker: Worker | undefined;

  /** @param name as llm_models.yaml names it */
  counter(name: string): PromptCounter {
    return {
      tokenizer: name,
      count: async (prompt, signal) => {
        try {
          await this.#load(name);
        } catch (error) {
          throw new CountUnavailable(`the tokenizer ${name} can't be used: ${(error as Error).message}`, {
            cause: error,
          });
        }
        return this.#count(name, prompt, signal);
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #load(name: string): Promise<number> {
    let loading = this.#loaded.get(name);
    if (loading === undefined) {
      loading = readVocabulary(name).then((files) => this.#ask({ load: name, files }));
      this.#loaded.set(name, loading);
      loading.catch(() => this.#loaded.delete(name));
    }
    return loading;
  }

  #count(name: string, prompt: Prompt, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason as Error);
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      this.#ask({ countWith: name, prompt })
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', abort));
    });
  }

  #ask(asked: Asked): Promise<number> {
    return this.#pending.ask((id) => this.#start().postMessage({ ...asked, id } as VocabularyRequest));
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = startWorker('core/tokens/vocabulary-worker', {
      resourceLimits: { maxOldGenerationSizeMb: 2048 },
    });
    this.#worker = worker;
    worker.unref();
    worker.on('message', (reply: VocabularyReply) => {
      if ('tokens' in reply) this.#pending.resolve(reply.id, reply.tokens);
      else this.#pending.refuse(reply.id, new TemplateRefusal(reply.refused));
    });
    const ended = (cause?: Error) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#loaded.clear();
      const error = new CountUnavailable(
        `the thread with the tokenizers ended${cause ? `: ${cause.message}` : ''}`,
      );
      this.#pending.refuseAll(error);
    };
    worker.once('error', ended);
    worker.once('exit', () => ended());
    return worker;
  }
}
