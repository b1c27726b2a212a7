/**
 * Whom a session or a file belongs to: the calling service, proven by its sidecar, and the end user that it vouches
 * for (empty when it names none).
 */
export interface Owner {
  readonly service: string;
  readonly user: string;
}

/** What belongs to nobody: from before there were owners, from AutoBot, or from calls without a proven caller. */
export const unowned: Owner = { service: '', user: '' };

/** An owner as one text, different for different owners. */
export function keyOfOwner({ service, user }: Owner): string {
  return `${service}/${user}`;
}
