import type { Fleet } from '../config/fleet.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { LoadedKeys } from '../keyring/loaded-keys.ts';
import type { Matrix } from '../policy/matrix.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';

const dayMs = 86_400_000;
const rotationDays = 90;

interface KeyFacts {
  readonly nowMs: number;
  readonly keyring: Keyring | undefined;
  readonly matrix: Matrix | undefined;
  readonly fleet: Fleet | undefined;
}

/** The keys that the matrix calls for: to sign calls to each callee's hosts, and to check each caller's. */
export function keysComplete({ keyring, matrix, fleet, nowMs }: KeyFacts): Finding | Finding[] {
  if (keyring === undefined || matrix === undefined || fleet === undefined)
    return skipped('keyring.json, authorization.yaml or fleet.yaml could not be read');
  const todo = 'make and deliver the keyrings: countersign keys init or keys rotate';
  const findings: Finding[] = [];
  for (const callee of calleesOf(matrix, keyring.service)) {
    const keys = keyring.outbound.get(callee)?.keys;
    for (const host of fleet.services.get(callee)?.hosts ?? [])
      if (keys?.has(host) !== true) findings.push(failed(`no key for calls to ${callee} at ${host}`, todo));
  }
  for (const [caller, { rules }] of matrix.of(keyring.service).callers) {
    const keys = [...keyring.inbound.values()].filter((key) => key.caller === caller);
    if (rules.length > 0 && !keys.some(({ notAfterMs }) => notAfterMs > nowMs))
      findings.push(
        failed(
          keys.length === 0 ? `no key of ${caller}` : `the keys of ${caller} are past their not_after`,
          todo,
        ),
      );
  }
  return findings.length > 0 ? findings : ok;
}

/** The services that the matrix lets one call. */
export function calleesOf(matrix: Matrix, caller: string): string[] {
  return [...matrix.services.values()].flatMap(({ service, callers }) =>
    (callers.get(caller)?.rules.length ?? 0) > 0 ? [service] : [],
  );
}

/** How long the keys that sign have been here: a sidecar notes when it first had each. */
export function rotationDue(
  firstSeen: Readonly<Record<string, string>>,
  loaded: LoadedKeys,
  nowMs: number,
): Finding | Finding[] {
  const kids = new Set(Object.values(loaded.outbound).map(({ kid }) => kid));
  const ages = [...kids].flatMap((kid) => {
    const since = firstSeen[kid];
    return since === undefined ? [] : [{ kid, days: Math.floor((nowMs - Date.parse(since)) / dayMs) }];
  });
  return ages.map(({ kid, days }) =>
    days > rotationDays
      ? warning(`${kid} has been here for ${days} days`, 'countersign keys rotate; its timer may not run')
      : ok,
  );
}
