import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repository } from '../fleet.ts';
import { provision } from '../provision.ts';
import type { Story } from './context.ts';

/** Makes hosts that stay up bare again, and the operator's folder as it was, for stories that begin there. */
export async function bare(story: Story): Promise<void> {
  const { fleet, report } = story;
  report.chapter('six bare hosts again');
  const text = await readFile(join(repository, 'config/fleet.yaml'), 'utf8');
  const { services } = parse(text) as { services: Record<string, unknown> };
  for (const { name } of [...fleet.guests]) if (!(name in services)) await fleet.dismiss(name);
  await fleet.closeConnections();
  await Promise.all(fleet.guests.map((guest) => guest.replace()));
  await provision(fleet, text);
  for (const name of ['inventory', 'config', 'observed', 'gate.json', 'gate.key'])
    await rm(join(fleet.control, name), { recursive: true, force: true });
  await fleet.learnHostKeys();
  await fleet.boot();
  await story.settle();
}
