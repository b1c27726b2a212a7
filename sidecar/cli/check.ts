import { Command } from 'commander';
import { ConfigError } from '../../config/load.ts';
import { loadCoreConfig } from '../../core/config/core-config.ts';
import { loadLlmModels } from '../../core/config/llm-models.ts';
import { loadFleet } from '../config/fleet.ts';
import { loadSidecarConfig } from '../config/sidecar-config.ts';
import { KeySourceError } from '../keyring/errors.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { loadMatrix } from '../policy/matrix.ts';
import { KeySource } from '../reload/key-source.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';

interface Files {
  config?: string;
  fleet?: string;
  authorization?: string;
  keyring?: string;
  core?: string;
  models?: string;
}

/** `countersign check`: says everything that is wrong with configuration files. */
export function checkCommand(): Command {
  return new Command('check')
    .description('Validate configuration files and print every problem with its file, line and column.')
    .option('--config <file>', 'a sidecar.yaml, with the files that it names')
    .option('--fleet <file>', 'a fleet.yaml')
    .option('--authorization <file>', 'an authorization.yaml')
    .option('--keyring <file>', 'a keyring.json')
    .option('--core <file>', 'a core.yaml, with the models that it names')
    .option('--models <file>', 'an llm_models.yaml')
    .action(async (files: Files) => {
      if (Object.keys(files).length === 0)
        throw new UsageError('nothing to check: name a file, for instance --config sidecar.yaml');
      const problems = await checkFiles(files);
      for (const problem of problems) process.stderr.write(`${problem}\n`);
      if (problems.length > 0) process.exitCode = exit.config;
      else process.stdout.write('ok\n');
    });
}

async function checkFiles(files: Files): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async <T>(load: Promise<T>): Promise<T | undefined> => {
    try {
      return await load;
    } catch (error) {
      if (!(error instanceof ConfigError || error instanceof KeySourceError)) throw error;
      problems.push(...error.message.split('\n'));
      return undefined;
    }
  };
  const config = files.config === undefined ? undefined : await attempt(loadSidecarConfig(files.config));
  const fleetFile = files.fleet ?? config?.fleet;
  const keyringFile = files.keyring ?? config?.keyring;
  const fleet = fleetFile === undefined ? undefined : await attempt(loadFleet(fleetFile));
  const matrixFile = files.authorization ?? config?.authorization;
  if (matrixFile !== undefined) await attempt(loadMatrix(matrixFile, fleet));
  const keyring = keyringFile === undefined ? undefined : await attempt(KeySource.open(keyringFile));
  const core = files.core === undefined ? undefined : await attempt(loadCoreConfig(files.core));
  const modelsFile = files.models ?? core?.models.file;
  if (modelsFile !== undefined) await attempt(loadLlmModels(modelsFile));
  const service = config && fleet?.services.get(config.service);
  if (config && fleet && !service)
    problems.push(
      `${files.config}: service: found "${config.service}", expected one of ${[...fleet.services.keys()].join(', ')} (${fleetFile})`,
    );
  if (keyring !== undefined) {
    if (config !== undefined && keyring.current.service !== config.service)
      problems.push(
        `${keyringFile}: service: found "${keyring.current.service}", expected "${config.service}"`,
      );
    if (service && !service.hosts.includes(keyring.current.host))
      problems.push(
        `${keyringFile}: host: found "${keyring.current.host}", expected one of ${service.hosts.join(', ')}`,
      );
    problems.push(...expiredKeys(keyringFile as string, keyring.current));
  }
  return problems;
}

function expiredKeys(file: string, keyring: Keyring): string[] {
  if (keyring.inbound.size > 0 && [...keyring.inbound.values()].every((key) => key.notAfterMs < Date.now()))
    return [`${file}: inbound: found only keys past their not_after, expected a key in force`];
  return [];
}
