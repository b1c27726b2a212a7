import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { keyringText } from '../rotation/out-folder.ts';
import { KeyringRenderer } from '../rotation/render.ts';
import { rootsInForce } from '../rotation/roots.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import { namedServices, type RegistryOptions, withRegistryOptions, withRotator } from './keys-options.ts';

/** `countersign keys export` */
export function keysExportCommand(): Command {
  return withRegistryOptions(
    new Command('export')
      .description('Write the keyring of one sidecar to a file (0600), never to a terminal or a pipe.')
      .argument('<service>')
      .argument('<host>', 'as fleet.yaml writes it'),
  )
    .requiredOption('--to <file>', 'where')
    .action(async (service: string, host: string, options: RegistryOptions & { to: string }) => {
      await withRotator(options, dirname(options.to), async (rotator) => {
        namedServices(rotator.fleet, [service]);
        const state = await rotator.registry.read(rotator.fleet.services.keys());
        const renderer = new KeyringRenderer(rotator.fleet, state, Date.now());
        const place = renderer.places.find((each) => each.service === service && each.host === host);
        if (place === undefined)
          throw new UsageError(
            `found host ${host}, expected one of ${renderer.places.flatMap((each) => (each.service === service ? [each.host] : [])).join(', ')}`,
          );
        if (rootsInForce(state.services.get(service) ?? {}).current === undefined)
          throw new AnsweredNo(`${service} has no key: run countersign keys init`);
        await writeSecretFile(
          options.to,
          keyringText({ ...renderer.keyringOf(place), issue: randomBytes(16).toString('hex') }),
        );
        process.stdout.write(`${options.to}\n`);
      });
    });
}
