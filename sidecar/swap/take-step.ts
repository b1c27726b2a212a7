import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from './layout.ts';
import type { Step } from './step.ts';
import { run } from './systemctl.ts';

/** Steps that change something. */
export type Action = Exclude<Step, { do: 'wait' | 'give-up' | 'finish' }>;

/** @throws {import('./swap-error.ts').SwapError} when systemd or the check refuses */
export async function takeStep(layout: Layout, step: Action): Promise<void> {
  const systemctl = (...args: readonly string[]) => run(layout.systemctl, args);
  switch (step.do) {
    case 'enable':
    case 'disable':
      await systemctl(step.do, '--quiet', ...step.units);
      return;
    case 'start':
      // A unit that has failed too often stays failed otherwise.
      await systemctl('reset-failed', ...step.units).catch(() => {});
      await systemctl('start', ...step.units);
      return;
    case 'stop':
    case 'stop-together':
      await systemctl('stop', '--no-block', ...step.units);
      return;
    case 'end':
      // Stopped first, so that Restart= does not bring back what is killed.
      await systemctl('stop', '--no-block', ...step.units);
      await systemctl('kill', '--signal=KILL', ...step.units).catch(() => {});
      return;
    case 'check': {
      const file = join(layout.configuration, step.version, 'sidecar.yaml');
      await run(join(layout.versions, step.version, 'countersign'), ['check', '--config', file]);
      return;
    }
    case 'link':
      await replaceLink(join(layout.versions, step.link), step.version);
      return;
  }
}

/** By a rename: the link names the one version or the other at every moment. */
async function replaceLink(link: string, target: string): Promise<void> {
  const draft = `${link}.draft`;
  await rm(draft, { force: true });
  await symlink(target, draft);
  await rename(draft, link);
}
