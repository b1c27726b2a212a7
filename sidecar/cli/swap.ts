import { Command } from 'commander';
import { duration } from '../../config/units.ts';
import { failedShare } from '../swap/call-totals.ts';
import { choose, parseWanted, phaseOf } from '../swap/choose.ts';
import { type Host, isUp, nameOf, wayBack } from '../swap/host.ts';
import { hostLayout } from '../swap/layout.ts';
import { readHost } from '../swap/read-host.ts';
import { readCalls } from '../swap/read-status.ts';
import { swap } from '../swap/swap.ts';
import { watchServing } from '../swap/watch.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';

interface SwapOptions {
  readonly json?: true;
  readonly watch?: string;
  readonly failedBefore: string;
}

/** `countersign swap`: which sidecar serves this host. Ansible, the guard and people all use it. */
export function swapCommand(): Command {
  return new Command('swap')
    .description('Have another sidecar serve this host, now and after a reboot, without refusing a call.')
    .argument('[target]', 'logging, enforcing, either with @VERSION, previous, or none')
    .option('--json', 'without a target: print JSON')
    .option(
      '--watch <duration>',
      'without a target: watch the sidecar that serves, and exit with 1 if it is restarted, not ready, or more calls fail than before',
    )
    .option(
      '--failed-before <share>',
      'with --watch: the share of calls that failed before, such as 0.01',
      '0',
    )
    .addHelpText(
      'after',
      '\nThe new sidecar starts beside the old one on the same sockets; if it does not become ready, the swap is undone.\n' +
        'Prints "changed" or "unchanged". Without a target it shows what serves and the way back from enforcing,\n' +
        'and exits with 1 when there is none. Needs root and systemd.',
    )
    .action(async (target: string | undefined, options: SwapOptions) => {
      if (options.watch !== undefined) await watchFor(options.watch, options.failedBefore);
      else if (target === undefined) await show(await readHost(hostLayout), options.json === true);
      else await swapTo(target);
    });
}

async function swapTo(target: string): Promise<void> {
  const wanted = parseWanted(target);
  if (wanted === undefined)
    throw new UsageError(
      `found the target "${target}", expected logging, enforcing, logging@VERSION, enforcing@VERSION, previous or none`,
    );
  const changed = await swap((host) => choose(wanted, host), {
    layout: hostLayout,
    say: (line) => process.stderr.write(`swap to ${target}: ${line}\n`),
  });
  process.stdout.write(changed ? 'changed\n' : 'unchanged\n');
}

async function watchFor(text: string, failedBefore: string): Promise<void> {
  const forMs = duration.safeParse(text);
  if (!forMs.success) throw new UsageError(`--watch: found "${text}", expected a duration such as 5m`);
  if (!/^(0(\.\d+)?|1(\.0+)?)$/.test(failedBefore))
    throw new UsageError(`--failed-before: found "${failedBefore}", expected a share from 0 to 1`);
  await watchServing(hostLayout, forMs.data, Number(failedBefore));
}

/** What serves, and the way back. */
async function show(host: Host, json: boolean): Promise<void> {
  const back = wayBack(host);
  const boots = host.sidecars.filter((unit) => unit.boots).map(({ choice }) => nameOf(choice));
  const calls = await readCalls(host.admin);
  const answer = {
    phase: phaseOf(host) ?? 'none',
    version: host.current ?? null,
    previous: host.previous ?? null,
    boots,
    up: host.sidecars.filter(isUp).map(({ choice }) => nameOf(choice)),
    installed: host.installed.map(nameOf),
    way_back: back === undefined ? null : back === 'none' ? 'none' : nameOf(back),
    failed_share: calls === undefined ? null : Number(failedShare(calls).toFixed(4)),
  };
  if (json) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else {
    const { phase, version, previous, installed } = answer;
    process.stdout.write(
      [
        `serves     ${phase === 'none' ? 'no sidecar' : `${phase}, version ${version ?? 'unknown'}`}`,
        `installed  ${installed.join(', ') || 'nothing'}`,
        `before     ${previous ?? 'no other version'}`,
        `way back   ${back === undefined ? 'NONE: install the logging sidecar of this version (playbooks/site.yml)' : back === 'none' ? 'not needed: nothing is refused' : nameOf(back)}`,
        '',
      ].join('\n'),
    );
  }
  if (back === undefined) process.exitCode = exit.no;
}
