import { pairHops } from '../readiness/hops.ts';
import { keysInPlace } from '../readiness/keys-in-place.ts';
import type { StatusDocument } from '../telemetry/documents.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from './finding.ts';
import type { FleetFacts } from './fleet-facts.ts';
import { rotationDue } from './key-checks.ts';
import { callersClocks, hopFinding, probeFinding } from './shared-findings.ts';

const noFiles = skipped('fleet.yaml or authorization.yaml could not be read');

/** All that holds in a healthy fleet. */
export const fleetChecks: readonly Check<FleetFacts>[] = [
  {
    group: 'files',
    name: 'files-valid',
    claim: 'fleet.yaml and authorization.yaml are valid',
    judge: ({ fileFaults }) =>
      fileFaults.length === 0
        ? ok
        : fileFaults.map((fault) => failed(fault, 'correct it; countersign check says when it is')),
  },
  {
    group: 'ports',
    name: 'sidecars-answer',
    claim: 'every sidecar of the fleet says how it is',
    judge: ({ fleet, states, unread }) => {
      const findings = unread.map(({ from, why }) =>
        failed(`${from}: ${why}`, 'start its sidecar, or correct --from'),
      );
      for (const { name, hosts, inbound } of fleet?.services.values() ?? [])
        for (const host of inbound === undefined ? [] : hosts)
          if (!states.some(({ status }) => status?.service === name && status.host === host))
            findings.push(
              failed(`${name} on ${host} was not read`, 'start its sidecar, and name it with --from'),
            );
      return findings.length > 0 ? findings : ok;
    },
  },
  {
    group: 'app',
    name: 'apps-on-loopback',
    claim: 'no app can be reached past its sidecar',
    judge: ({ appPorts, states }) =>
      appPorts.map(({ service, host, port, open, how }) => {
        if (!open) return ok;
        const found = `${service} at ${host}:${port}: ${how}`;
        const todo = `have it listen on 127.0.0.1:${port} only`;
        const enforces = states.some(
          ({ status }) => status?.service === service && status.phase === 'enforcing',
        );
        return enforces ? failed(found, todo) : warning(found, `${todo} before you enforce`);
      }),
  },
  {
    group: 'peers',
    name: 'peers-sealed',
    claim: 'every host is reached from here and proves the pair key',
    judge: ({ peers }) => peers?.map(hopFinding) ?? skipped('needs --keyring, that of the service that asks'),
  },
  {
    group: 'peers',
    name: 'signed-probe',
    claim: 'a signed call to each of them is allowed',
    judge: ({ peers }) => peers?.map(probeFinding) ?? skipped('needs --keyring'),
  },
  {
    group: 'peers',
    name: 'hops-sealed',
    claim: 'the calls of the last 24 hours were sealed',
    judge: ({ fleet, states, nowMs }) =>
      fleet === undefined
        ? noFiles
        : pairHops(states, fleet, nowMs).map(
            ({ problem, detail, caller, caller_host, callee, callee_host }) =>
              problem === undefined
                ? ok
                : failed(
                    `${caller} at ${caller_host} to ${callee} at ${callee_host}: ${problem}`,
                    detail ?? 'countersign report explains it',
                  ),
          ),
  },
  {
    group: 'clock',
    name: 'callers-clocks',
    claim: 'the clocks of the fleet agree',
    judge: ({ states }) => states.flatMap(({ observed }) => callersClocks(observed?.skew ?? [])),
  },
  {
    group: 'phases and versions',
    name: 'ready',
    claim: 'every sidecar is ready',
    judge: ({ states }) =>
      statuses(states).map((status) =>
        status.ready ? ok : failed(`${placeOf(status)} is not ready`, 'its log says why'),
      ),
  },
  {
    group: 'phases and versions',
    name: 'one-phase',
    claim: 'all sidecars are in one phase',
    judge: ({ states }) =>
      differences(
        states,
        ({ phase }) => phase,
        'a swap of the whole fleet may be under way; countersign swap PHASE on each host',
      ),
  },
  {
    group: 'phases and versions',
    name: 'one-version',
    claim: 'all sidecars of a phase are the same build',
    judge: ({ states }) => {
      const phases = new Set(statuses(states).map(({ phase }) => phase));
      return [...phases].flatMap((phase) =>
        differences(
          states.filter(({ status }) => status?.phase === phase),
          ({ version, build }) => `version ${version}, build ${build.slice(0, 12)}`,
          'an upgrade may be under way: docs/day-two.md',
        ),
      );
    },
  },
  {
    group: 'phases and versions',
    name: 'policy-loaded',
    claim: 'every sidecar runs this fleet.yaml and this authorization.yaml',
    judge: ({ fleet, matrix, states }) => {
      if (fleet === undefined || matrix === undefined) return noFiles;
      return statuses(states).map((status) => {
        const stale = [
          ...(status.fleet === fleet.hash ? [] : ['fleet.yaml']),
          ...(status.matrix === matrix.hash ? [] : ['authorization.yaml']),
        ];
        return stale.length === 0
          ? ok
          : failed(
              `${placeOf(status)} runs another ${stale.join(' and ')}`,
              'deliver it there; a running sidecar takes it at once',
            );
      });
    },
  },
  {
    group: 'keys and rotation',
    name: 'keys-in-place',
    claim: 'callers sign with keys that every host of their callees accepts',
    judge: ({ matrix, states, nowMs }) =>
      matrix === undefined
        ? noFiles
        : keysInPlace(states, matrix, nowMs).flatMap(({ problems }) =>
            problems.length === 0
              ? [ok]
              : problems.map((problem) =>
                  failed(problem, 'countersign keys status; keys rotate goes on with what is left'),
                ),
          ),
  },
  {
    group: 'keys and rotation',
    name: 'rotation-on-time',
    claim: 'no key is older than 90 days',
    judge: ({ states, nowMs }) =>
      states.flatMap(({ status, observed }) =>
        status === undefined || observed === undefined
          ? []
          : rotationDue(observed.keys_first_seen, status.keys, nowMs),
      ),
  },
];

function statuses(states: FleetFacts['states']): StatusDocument[] {
  return states.flatMap(({ status }) => (status === undefined ? [] : [status]));
}

function placeOf({ service, host }: StatusDocument): string {
  return `${service} on ${host}`;
}

/** A warning that lists who has which value, when there is more than one. */
function differences(
  states: FleetFacts['states'],
  property: (status: StatusDocument) => string,
  todo: string,
): Finding[] {
  const holders = Map.groupBy(statuses(states), property);
  if (holders.size === 1) return [{ result: 'ok', found: [...holders.keys()][0] as string }];
  if (holders.size === 0) return [];
  const found = [...holders].map(([value, who]) => `${value}: ${who.map(placeOf).join(', ')}`).join('; ');
  return [warning(found, todo)];
}
