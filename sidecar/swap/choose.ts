import type { Phase } from '../telemetry/documents.ts';
import { type Choice, type Host, isInstalled, isUp, unversioned } from './host.ts';
import { SwapError } from './swap-error.ts';

/** What a swap may be asked for. */
export type Wanted =
  | { readonly kind: 'none' }
  /** The version that served before the present one, in the phase that the host is in. */
  | { readonly kind: 'previous' }
  /** Without a version: the one that serves. */
  | { readonly kind: 'phase'; readonly phase: Phase; readonly version: string | undefined };

/** @returns undefined when the text is not `logging`, `enforcing`, either with `@VERSION`, `previous` or `none` */
export function parseWanted(text: string): Wanted | undefined {
  if (text === 'none' || text === 'previous') return { kind: text };
  const [, phase, version] = /^(logging|enforcing)(?:@([0-9][0-9A-Za-z.+-]{0,63}))?$/.exec(text) ?? [];
  return phase === undefined ? undefined : { kind: 'phase', phase: phase as Phase, version };
}

/**
 * The sidecar that is meant, on this host.
 *
 * @throws {SwapError} when no version served before, or the host is in no phase
 */
export function choose(wanted: Wanted, host: Host): Choice | 'none' {
  if (wanted.kind === 'none') return 'none';
  if (wanted.kind === 'phase')
    return { phase: wanted.phase, version: wanted.version ?? versionFor(host, wanted.phase) };
  const phase = phaseOf(host);
  if (phase === undefined)
    throw new SwapError(
      'found no sidecar that serves this host, expected one to go back from: name the target',
    );
  if (host.previous === undefined)
    throw new SwapError('found no version that served before this one: nothing to go back to');
  return { phase, version: host.previous };
}

/** The phase that would come back from a reboot. */
export function phaseOf({ sidecars }: Host): Phase | undefined {
  return (sidecars.find(({ boots }) => boots) ?? sidecars.find(isUp))?.choice.phase;
}

function versionFor(host: Host, phase: Phase): string {
  const { current } = host;
  if (current !== undefined && isInstalled(host, { phase, version: current })) return current;
  const versions = host.installed.filter((one) => one.phase === phase).map(({ version }) => version);
  return (
    versions.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? current ?? unversioned
  );
}
