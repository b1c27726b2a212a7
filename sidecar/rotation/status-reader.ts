import * as z from 'zod';
import { adminPage } from '../fleet-reader/admin-page.ts';
import { type LoadedKeys, loadedKeysSchema } from '../keyring/loaded-keys.ts';
import { eachAtOnce } from '../terms/each-at-once.ts';
import { type Place, placeName } from './roots.ts';
import { runShellCommand } from './shell-command.ts';

/** How the rotator hears from sidecars, whose admin listeners are on loopback: near ones by URL, far ones by a command. */
export interface StatusAccess {
  /** Admin listeners, `http://HOST:PORT`. */
  readonly adminUrls: readonly string[];
  /** Given HOST and SERVICE; prints that sidecar's `/status`. */
  readonly statusCommand?: string;
}

export interface KeyStatus extends Place {
  readonly keys: LoadedKeys;
}

const placeSchema = z.object({ service: z.string(), host: z.string() });
const issueSchema = placeSchema.extend({ keys: z.object({ issue: z.string().optional() }) });
const statusSchema = placeSchema.extend({ keys: loadedKeysSchema });

const commandWithinMs = 60_000;
const httpWithinMs = 3_000;

/** Asks sidecars for their `/status`; those that do not answer are absent. It remembers who answers at which URL. */
export class StatusReader {
  readonly #access: StatusAccess;
  readonly #urls = new Map<string, string>();

  constructor(access: StatusAccess) {
    this.#access = access;
  }

  /** The issue of the keyring that each sidecar says it has loaded, by place. */
  async issues(places: readonly Place[], signal: AbortSignal): Promise<Map<string, string | undefined>> {
    const found = new Map<string, string | undefined>();
    await this.#ask(places, signal, issueSchema, (status) => {
      found.set(placeName(status), status.keys.issue);
    });
    return found;
  }

  /** Hands out what each sidecar says of its keys, one at a time: a large fleet's do not fit into memory. */
  async each(
    places: readonly Place[],
    signal: AbortSignal,
    take: (status: KeyStatus) => void,
  ): Promise<void> {
    await this.#ask(places, signal, statusSchema, take);
  }

  /** All that sidecars say of their keys. */
  async statuses(places: readonly Place[], signal: AbortSignal): Promise<KeyStatus[]> {
    const found: KeyStatus[] = [];
    await this.each(places, signal, (status) => found.push(status));
    return found;
  }

  /** Where a sidecar answered; undefined for one that a command reaches. */
  urlOf(place: Place): string | undefined {
    return this.#urls.get(placeName(place));
  }

  async #ask<T extends Place>(
    places: readonly Place[],
    signal: AbortSignal,
    schema: z.ZodType<T>,
    take: (status: T) => void,
  ): Promise<void> {
    const wanted = new Set(places.map(placeName));
    const heard = new Set<string>();
    const keep = (status: T | undefined, url?: string) => {
      if (status === undefined) return;
      const place = placeName(status);
      if (url !== undefined) this.#urls.set(place, url);
      if (!wanted.has(place) || heard.has(place)) return;
      heard.add(place);
      take(status);
    };
    const placeOfUrl = new Map([...this.#urls].map(([place, url]) => [url, place]));
    const urls = this.#access.adminUrls.filter((url) => {
      const place = placeOfUrl.get(url);
      return place === undefined || wanted.has(place);
    });
    await eachAtOnce(urls, async (url) => keep(parse(schema, await fetchText(url, '/status', signal)), url));
    const { statusCommand } = this.#access;
    if (statusCommand === undefined) return;
    const unheard = places.filter((place) => !heard.has(placeName(place)));
    await eachAtOnce(unheard, async ({ host, service }) => {
      const options = { stdout: 'keep', timeoutMs: commandWithinMs, signal } as const;
      const { code, stdout } = await runShellCommand(statusCommand, [host, service], options);
      if (code === 0) keep(parse(schema, stdout));
    });
  }
}

function parse<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  try {
    return text === undefined ? undefined : schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export async function fetchText(
  base: string,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(httpWithinMs)]);
    const page = await adminPage(base, path, limit);
    return page.status === 200 ? page.text : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
