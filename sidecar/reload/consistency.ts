import type { Problem } from '../../config/load.ts';
import { nearestName } from '../../config/nearest-name.ts';
import type { Fleet } from '../config/fleet.ts';
import type { SidecarFile } from '../config/sidecar-config.ts';
import type { Keyring } from '../keyring/keyring.ts';

/** What is wrong with sidecar.yaml beside this fleet.yaml, although each is right by itself. */
export function fleetProblems({ config, source, routeTexts }: SidecarFile, fleet: Fleet): Problem[] {
  const problems: Problem[] = [];
  const report = (path: readonly string[], found: string, expected: string) =>
    problems.push({ file: source.file, ...source.place(path), path: path.join('.'), found, expected });

  const { service, inbound, outbound } = config;
  const own = fleet.services.get(service);
  if (own === undefined)
    report(['service'], `the service "${service}"`, oneOf(service, [...fleet.services.keys()]));
  else if (inbound === undefined) {
    if (own.inbound !== undefined)
      report(
        ['service'],
        'no inbound section',
        `one for port ${own.inbound}, which ${service} has in fleet.yaml`,
      );
  } else if (own.inbound === undefined) {
    report(['inbound'], 'an inbound section', `none: ${service} has no inbound port in fleet.yaml`);
  } else {
    if (inbound.listen.port !== own.inbound)
      report(['inbound', 'listen'], `port ${inbound.listen.port}`, `${own.inbound}, as in fleet.yaml`);
    if (inbound.app.port !== own.app)
      report(['inbound', 'app'], `port ${inbound.app.port}`, `${own.app}, as in fleet.yaml`);
  }

  const callees = [...fleet.services.values()].filter((callee) => callee.inbound !== undefined);
  const names = callees.map(({ name }) => name);
  for (const [listen, callee] of Object.entries(outbound.routes)) {
    if (names.includes(callee)) continue;
    const path = ['outbound', 'routes', routeTexts.get(listen) ?? listen];
    report(path, `the service "${callee}"`, oneOf(callee, names));
  }
  return problems;
}

/** What is wrong with a keyring for this sidecar; nothing when fleet.yaml does not know the service at all. */
export function keyringProblems(
  file: string,
  keyring: Keyring,
  { config }: SidecarFile,
  fleet: Fleet | undefined,
): Problem[] {
  const report = (path: string, found: string, expected: string): Problem[] => [
    { file, line: 0, column: 0, path, found, expected },
  ];
  if (keyring.service !== config.service)
    return report('service', `a keyring of ${keyring.service}`, `the keyring of ${config.service}`);
  const hosts = fleet?.services.get(config.service)?.hosts;
  if (hosts === undefined || hosts.includes(keyring.host)) return [];
  return report(
    'host',
    `a keyring for host ${keyring.host}`,
    `one of ${config.service}'s hosts: ${hosts.join(', ')}`,
  );
}

function oneOf(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return `${near === undefined ? '' : `${near}: `}one of fleet.yaml: ${known.join(', ')}`;
}
