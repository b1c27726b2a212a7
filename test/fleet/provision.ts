import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Fleet, inside, node } from './fleet.ts';
import type { Guest } from './guest.ts';

/** Services of the fleet whose own programs run on the hosts before Countersign comes, as an operator's would. */
export async function provision(fleet: Fleet, fleetText: string): Promise<void> {
  const { services } = parse(fleetText) as { services: Record<string, { app: number }> };
  for (const guest of fleet.guests) {
    const app = services[guest.name]?.app;
    if (app === undefined) throw new Error(`config/fleet.yaml has no service ${guest.name}`);
    await provisionGuest(guest, guest.name, app);
  }
}

/** One host, with the program of its service on port `app`. */
export async function provisionGuest(guest: Guest, service: string, app: number): Promise<void> {
  // The core is main-backend's service; the playbooks bring it.
  if (service !== 'main-backend') await addUnit(guest, 'fleet-app', appCommand(service, app));
  const traffic =
    'test/fleet/guest/traffic.ts /var/lib/fleet-test/plan.json /var/lib/fleet-test/traffic.jsonl';
  await addUnit(guest, 'fleet-traffic', `${node} ${inside}/${traffic}`, false);
  if (service === 'redis-stack') await openRedis(guest);
  else await mask(guest, 'redis-server.service');
}

function appCommand(name: string, port: number): string {
  // The core's model server.
  if (name === 'ai-stack') return `${node} ${inside}/test/samples/ai-stack.ts --port ${port}`;
  return `${node} ${inside}/test/fleet/guest/app.ts ${name} ${port} /var/lib/fleet-test/anonymous.jsonl`;
}

async function addUnit(guest: Guest, name: string, command: string, enabled = true): Promise<void> {
  const unit = [
    '[Unit]',
    `Description=${name} of ${guest.name}`,
    '[Service]',
    'ExecStartPre=/bin/mkdir -p /var/lib/fleet-test',
    `ExecStart=${command}`,
    'Restart=always',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ];
  await guest.write(`etc/systemd/system/${name}.service`, unit.join('\n'));
  if (!enabled) return;
  const wants = 'etc/systemd/system/multi-user.target.wants';
  await guest.write(`${wants}/.keep`, '');
  await symlink(`/etc/systemd/system/${name}.service`, join(guest.root, wants, `${name}.service`));
}

/** Redis as it stands in a fleet without Countersign: open to everybody on the network. */
async function openRedis(guest: Guest): Promise<void> {
  await guest.append('etc/redis/redis.conf', '\nbind 0.0.0.0\nprotected-mode no\n');
}

async function mask(guest: Guest, unit: string): Promise<void> {
  await symlink('/dev/null', join(guest.root, 'etc/systemd/system', unit));
}
