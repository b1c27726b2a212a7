import { Command } from 'commander';
import { FilesError, Loading } from '../../config/loading.ts';
import { loadCoreFiles } from '../../core/config/core-files.ts';
import { loadLlmModels } from '../../core/config/llm-models.ts';
import { loadGatedReport } from '../guard/gated-report.ts';
import { loadGuardConfig } from '../guard/guard-config.ts';
import { type LoadedFiles, loadFiles } from '../reload/sidecar-files.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';

interface Files {
  config?: string;
  fleet?: string;
  authorization?: string;
  keyring?: string;
  core?: string;
  models?: string;
  guard?: string;
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
    .option('--guard <file>', 'a guard.yaml, with the gate file that it names')
    .action(async (files: Files) => {
      if (Object.keys(files).length === 0)
        throw new UsageError('nothing to check: name a file, for instance --config sidecar.yaml');
      try {
        await loadAll(files);
        process.stdout.write('ok\n');
      } catch (error) {
        if (!(error instanceof FilesError)) throw error;
        process.stderr.write(`${error.message}\n`);
        process.exitCode = exit.config;
      }
    });
}

async function loadAll(files: Files): Promise<void> {
  const { core, models, guard, ...sidecar } = files;
  const loading = new Loading();
  await loading.file(async () => noteExpired(await loadFiles(sidecar)), '');
  await loading.file(loadCoreFiles, core);
  await loading.file(loadLlmModels, models);
  await loading.file(async (file) => loadGatedReport((await loadGuardConfig(file)).gated), guard);
  loading.end();
}

/** A sidecar starts with such a keyring, and verifies nobody. */
function noteExpired({ keys }: LoadedFiles): void {
  const inbound = [...(keys?.current.inbound.values() ?? [])];
  if (keys === undefined || inbound.length === 0 || inbound.some((key) => key.notAfterMs >= Date.now()))
    return;
  process.stderr.write(
    `warning: ${keys.file}: inbound: found only keys past their not_after, expected a key in force\n`,
  );
}
