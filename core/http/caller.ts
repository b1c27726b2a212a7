import type { FastifyRequest } from 'fastify';
import type { FileActor } from '../store/file-store.ts';
import { CoreError } from '../terms/errors.ts';
import { type Owner, unowned } from '../terms/owner.ts';

const serviceForm = /^[a-z0-9-]{1,63}$/;
const maxEndUserLength = 128;

/** The calling service, as its sidecar has proven it. */
export function callerOf(request: FastifyRequest): string | null {
  const caller = request.headers['x-service-id'];
  return typeof caller === 'string' && serviceForm.test(caller) ? caller : null;
}

/**
 * Whom the sessions and files of a request belong to: the calling service and the end user that it vouches for. An end user
 * counts only beside a proven service.
 *
 * @throws {CoreError} `invalid_request`
 */
export function ownerOf(request: FastifyRequest): Owner {
  const service = callerOf(request);
  if (service === null) return unowned;
  const user = request.headers['x-end-user'] ?? '';
  if (typeof user === 'string' && user.length <= maxEndUserLength) return { service, user };
  throw new CoreError('invalid_request', `X-End-User: expected at most ${maxEndUserLength} characters`, {
    param: 'X-End-User',
  });
}

/** Who does something to a file: its owner, and the name for the access log. */
export function actorOf(request: FastifyRequest): FileActor {
  const owner = ownerOf(request);
  if (owner.service === '') return { owner, by: null };
  return { owner, by: owner.user === '' ? owner.service : `${owner.service}/${owner.user}` };
}

/** Callers that may read, and claim, what belongs to nobody. */
export class UnownedReaders {
  readonly #services: ReadonlySet<string>;

  constructor(services: readonly string[]) {
    this.#services = new Set(services);
  }

  readerOf(request: FastifyRequest): { readonly owner: Owner; readonly readsUnowned: boolean } {
    const owner = ownerOf(request);
    return { owner, readsUnowned: this.#services.has(owner.service) };
  }

  /**
   * Whose things to list: the caller's, or nobody's when it asks for those.
   *
   * @throws {CoreError} `not_allowed` when it may not
   */
  listedBy(request: FastifyRequest, wantsUnowned: boolean): Owner {
    const { owner, readsUnowned } = this.readerOf(request);
    if (!wantsUnowned || owner.service === '') return owner;
    if (readsUnowned) return unowned;
    throw new CoreError(
      'not_allowed',
      `unowned: ${owner.service} is not one of unowned_readers in core.yaml`,
      { param: 'unowned' },
    );
  }
}
