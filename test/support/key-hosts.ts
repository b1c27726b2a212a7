import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type Admin, startAdmin } from '../../sidecar/admin/server.ts';
import type { Fleet } from '../../sidecar/config/fleet.ts';
import type { Keyring } from '../../sidecar/keyring/keyring.ts';
import { loadedKeys } from '../../sidecar/keyring/loaded-keys.ts';
import { KeySource } from '../../sidecar/reload/key-source.ts';
import { placeName, placesOf } from '../../sidecar/rotation/roots.ts';
import type { StatusDocument } from '../../sidecar/telemetry/documents.ts';
import { EventFeed } from '../../sidecar/telemetry/event-feed.ts';
import { Telemetry } from '../../sidecar/telemetry/telemetry.ts';

/**
 * The keys' side of every sidecar of a fleet: each follows its keyring file and says at an admin listener what it
 * has loaded. `trouble` collects every moment at which some call of some pair could not have been made.
 */
export class KeyHosts {
  readonly folder: string;
  readonly fleet: Fleet;
  readonly sources = new Map<string, KeySource>();
  readonly telemetry = new Map<string, Telemetry>();
  readonly adminUrls: string[] = [];
  readonly trouble: string[] = [];
  /** Generations seen in use, in order. */
  readonly signedWith: string[] = [];
  #scripts = 0;

  private constructor(folder: string, fleet: Fleet) {
    this.folder = folder;
    this.fleet = fleet;
  }

  /** @param keyrings folder with the first keyrings, as `keys init` wrote them */
  static async start(t: Test, fleet: Fleet, keyrings: string, folder: string): Promise<KeyHosts> {
    const hosts = new KeyHosts(folder, fleet);
    await mkdir(join(folder, 'hosts'), { recursive: true });
    for (const place of placesOf(fleet)) {
      const name = placeName(place);
      await copyFile(join(keyrings, `${name}.json`), hosts.fileOf(name));
      await chmod(hosts.fileOf(name), 0o600);
      const source = await KeySource.open(hosts.fileOf(name));
      hosts.sources.set(name, source);
      source.watch({
        onChange: () => hosts.check(),
        onRefused: (error) => hosts.trouble.push(error.message),
      });
      const telemetry = new Telemetry({
        service: place.service,
        peers: [],
        logger: pino({ level: 'silent' }),
      });
      hosts.telemetry.set(name, telemetry);
      const admin = await adminOf(source, telemetry);
      hosts.adminUrls.push(`http://${admin.address}`);
      t.teardown(async () => {
        source.close();
        await admin.close();
      });
    }
    return hosts;
  }

  fileOf(place: string): string {
    return join(this.folder, 'hosts', `${place}.json`);
  }

  /** Whether every service could call every other, and its callee would know the key. */
  check(now = Date.now()): void {
    for (const caller of this.sources.values())
      for (const callee of this.sources.values()) {
        const fault = faultOf(caller.current, callee.current, now);
        if (fault !== undefined) this.trouble.push(fault);
      }
    for (const source of this.sources.values())
      for (const { kid } of source.current.outbound.values())
        if (!this.signedWith.includes(kid)) this.signedWith.push(kid);
  }

  /** Arguments with which the command line reaches these sidecars. */
  get from(): string[] {
    return this.adminUrls.flatMap((url) => ['--from', url]);
  }

  /**
   * Writes a deliver command that puts files in place as a careful operator's would.
   *
   * @param before shell lines to run first; `$1` is the host, `$2` the file, `$N` how many deliveries there were
   */
  async deliverCommand(before = '', after = ''): Promise<string> {
    const script = join(this.folder, `deliver-${++this.#scripts}`);
    const lines = [
      '#!/bin/sh -e',
      `cd '${this.folder}'`,
      'N=$(flock counting sh -c "echo >> delivered; wc -l < delivered")',
      before,
      'name=$(basename "$2")',
      'install -m 600 "$2" "hosts/.$name.new"',
      'mv "hosts/.$name.new" "hosts/$name"',
      after,
      'exit 0',
    ];
    await writeFile(script, `${lines.join('\n')}\n`, { mode: 0o700 });
    return script;
  }
}

/** Why a call of one sidecar's service to another's would not be proven. */
function faultOf(caller: Keyring, callee: Keyring, now: number): string | undefined {
  const pair = `${caller.service}@${caller.host} to ${callee.service}@${callee.host}`;
  const outbound = caller.outbound.get(callee.service);
  const signing = outbound?.keys.get(callee.host);
  if (outbound === undefined || signing === undefined) return `${pair}: no key to sign with`;
  const accepted = callee.inbound.get(outbound.kid);
  if (accepted === undefined) return `${pair}: ${outbound.kid} is unknown there`;
  if (accepted.notAfterMs <= now) return `${pair}: ${outbound.kid} has ended there`;
  if (accepted.key.macBase64('probe') !== signing.macBase64('probe'))
    return `${pair}: two keys under ${outbound.kid}`;
  return undefined;
}

function adminOf(source: KeySource, telemetry: Telemetry): Promise<Admin> {
  const status = (): StatusDocument => ({
    service: source.current.service,
    host: source.current.host,
    phase: 'enforcing',
    version: '0.0.0',
    build: '',
    matrix: '',
    fleet: '',
    keys: loadedKeys(source.current),
    hops: [],
    uptime_seconds: 1,
    ready: true,
    workers: 1,
    app_exposed_on: [],
  });
  return startAdmin(
    { host: '127.0.0.1', port: 0 },
    {
      snapshot: () => telemetry.snapshot(),
      events: new EventFeed(() => {}, Date.now()),
      status,
      observed: () => {
        throw new Error('not asked here');
      },
    },
  );
}
