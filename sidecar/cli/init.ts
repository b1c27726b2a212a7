import { Command } from 'commander';
import { nextSteps, sharedHosts } from '../new-fleet/next-steps.ts';
import { newPolicy, type Wishes, withWishes } from '../new-fleet/policy-text.ts';
import { parseAllowWish, parseHostWish, parsePublicWish, parseServiceWish } from '../new-fleet/wishes.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { changeFleetFolder, createFleetFolder, type WrittenFleet } from './fleet-folder.ts';

interface InitOptions {
  readonly dir: string;
  readonly service?: string[];
  readonly allow?: string[];
  readonly public?: string[];
  readonly operator?: string[];
}

const nothing: Wishes = { services: [], operators: [], hosts: [], rules: [] };

const example = `
Example:
  countersign init --dir fleet --service orders=10.0.0.2:3000 --service billing=10.0.0.3:5000 \\
    --allow 'orders POST billing /invoices' --public 'billing GET /health'
  countersign init add rule 'orders GET billing /invoices/*' --dir fleet

It writes fleet.yaml, authorization.yaml, the keys, and for each host a folder with its files and an install.sh.`;

/** `countersign init`: makes the files of a new fleet. */
export function initCommand(): Command {
  return new Command('init')
    .description(
      'Make everything that a new fleet needs: its files, its keys, and an install.sh for each host.',
    )
    .option('--dir <folder>', 'a new folder for the fleet')
    .option('--service <name=host:port>', 'a service and its own port; repeat it for further hosts', collect)
    .option('--allow <rule>', "'CALLER METHOD CALLEE /path': a call that is allowed (repeatable)", collect)
    .option('--public <rule>', "'CALLEE METHOD /path': a call that needs no signature (repeatable)", collect)
    .option('--operator <name=host>', "who may read the sidecars' documents from there (repeatable)", collect)
    .addHelpText('after', example)
    .addCommand(addCommand())
    .action(async (options: Partial<InitOptions>) => {
      const folder = given(options.dir);
      if (options.service === undefined)
        throw new UsageError(
          'found no --service, expected at least one, such as --service orders=10.0.0.2:3000',
        );
      const policy = withWishes(newPolicy, {
        services: options.service.map((text) => parseServiceWish(text)),
        operators: (options.operator ?? []).map((text) => parseHostWish(text, '--operator')),
        hosts: [],
        rules: [
          ...(options.allow ?? []).map((text) => parseAllowWish(text)),
          ...(options.public ?? []).map((text) => parsePublicWish(text)),
        ],
      });
      const { sidecars } = await createFleetFolder(folder, policy);
      process.stdout.write(
        `Made ${folder} with ${sidecars.length} sidecars.\n\n${nextSteps(folder, sidecars)}`,
      );
    });
}

/** `countersign init add`: changes such a fleet later. */
function addCommand(): Command {
  const add = new Command('add').description(
    'Add to a fleet that countersign init made. Existing keys are kept; every keyring is rewritten for the new fleet.',
  );
  const kinds: [string, string, string, (text: string) => Partial<Wishes>][] = [
    [
      'service',
      'name=host:port',
      'a further service',
      (text) => ({ services: [parseServiceWish(text, 'service')] }),
    ],
    [
      'host',
      'name=host',
      'a further host of a service',
      (text) => ({ hosts: [parseHostWish(text, 'host')] }),
    ],
    [
      'operator',
      'name=host',
      "who may read the sidecars' documents",
      (text) => ({ operators: [parseHostWish(text, 'operator')] }),
    ],
    ['rule', 'rule', "'CALLER METHOD CALLEE /path'", (text) => ({ rules: [parseAllowWish(text, 'rule')] })],
    ['public', 'rule', "'CALLEE METHOD /path'", (text) => ({ rules: [parsePublicWish(text, 'public')] })],
  ];
  for (const [name, argument, about, read] of kinds)
    add.addCommand(
      new Command(name)
        .description(`Add ${about}.`)
        .argument(`<${argument}>`)
        .option('--dir <folder>', 'the folder of the fleet')
        .action(async (text: string, own: { dir?: string }, command: Command) => {
          const folder = given(own.dir ?? (command.optsWithGlobals() as { dir?: string }).dir);
          const wishes = { ...nothing, ...read(text) };
          sayAdded(folder, name, await changeFleetFolder(folder, (before) => withWishes(before, wishes)));
        }),
    );
  return add;
}

function sayAdded(folder: string, kind: string, { keyed, sidecars }: WrittenFleet): void {
  const keys = keyed.length === 0 ? '' : ` ${keyed.join(', ')} got a key: back up the registry again.`;
  const [what, how] =
    kind === 'rule' || kind === 'public'
      ? ['authorization.yaml', 'running sidecars take it at once']
      : ['fleet.yaml, authorization.yaml and keyring.json', 'hosts that are there take them at once'];
  process.stdout.write(
    `Changed ${folder}.${keys}\nNext: copy each folder of ${folder}/hosts to its host and run its install.sh: it brings ${what}; ${how}.\n${sharedHosts(sidecars)}`,
  );
}

function given(folder: string | undefined): string {
  if (folder === undefined || folder === '')
    throw new UsageError('found no --dir, expected the folder of the fleet, such as --dir fleet');
  return folder;
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
