import { ConfigError, readYaml } from '../../config/load.ts';
import type { Fleet } from '../config/fleet.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { Keyring } from '../keyring/keyring.ts';

/**
 * Files that are each right may still not belong together.
 *
 * @param file sidecar.yaml
 * @throws {ConfigError}
 */
export async function checkTogether(
  file: string,
  config: SidecarConfig,
  fleet: Fleet,
  keyring: Keyring,
): Promise<void> {
  const services = [...fleet.services.keys()].join(', ');
  const service = fleet.services.get(config.service);
  if (service === undefined) {
    throw await problem(
      file,
      ['service'],
      `the service "${config.service}"`,
      `one of fleet.yaml: ${services}`,
    );
  }
  for (const [listen, callee] of Object.entries(config.outbound.routes)) {
    if (fleet.services.has(callee)) continue;
    const path = ['outbound', 'routes', listen];
    throw await problem(file, path, `the service "${callee}"`, `one of fleet.yaml: ${services}`);
  }
  const inKeyring = (found: string, expected: string) =>
    new ConfigError([{ file: config.keyring, line: 0, column: 0, path: 'service', found, expected }]);
  if (keyring.service !== config.service) {
    throw inKeyring(`a keyring of ${keyring.service}`, `the keyring of ${config.service}`);
  }
  if (!service.hosts.includes(keyring.host)) {
    const hosts = service.hosts.join(', ');
    throw inKeyring(`a keyring for host ${keyring.host}`, `one of ${config.service}'s hosts: ${hosts}`);
  }
}

async function problem(file: string, path: readonly string[], found: string, expected: string) {
  const place = (await readYaml(file)).place(path);
  return new ConfigError([{ file, ...place, path: path.join('.'), found, expected }]);
}
