import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Fleet, repository } from '../fleet.ts';
import type { Report } from '../report.ts';
import { type Finished, run } from '../run-command.ts';
import type { Tally, Traffic } from '../traffic.ts';

/** What `/status` says, as far as the story reads it. */
export interface Status {
  readonly phase: 'logging' | 'enforcing';
  readonly version: string;
  readonly ready: boolean;
  readonly matrix: string;
  readonly keys: { readonly outbound: Readonly<Record<string, { readonly kid: string }>> };
}

export interface DenialRow {
  readonly reason: string;
  readonly detail: string;
  readonly caller?: string;
  readonly claimed?: string;
  readonly path: string;
}

/** The host of the example inventory that makes and delivers keys. */
export const rotatorHost = 'npu-worker';

/** The seconds that the rollout page shows. */
export interface Timings {
  bareToEnforced: number;
  rollback: number;
  served: number;
  lost: number;
}

/** The fleet with its operator: what every chapter of the story works with. */
export class Story {
  readonly fleet: Fleet;
  readonly report: Report;
  readonly traffic: Traffic;
  readonly timings: Timings = { bareToEnforced: 0, rollback: 0, served: 0, lost: 0 };
  /** The operator's own copy of the matrix, which the playbooks deploy. */
  readonly matrix: string;

  constructor(fleet: Fleet, report: Report, traffic: Traffic) {
    this.fleet = fleet;
    this.report = report;
    this.traffic = traffic;
    this.matrix = join(fleet.control, 'config/authorization.yaml');
  }

  get names(): string[] {
    return this.fleet.guests.map(({ name }) => name);
  }

  /** The operator's configuration: the project's own, and where the playbooks find it. */
  async settle(): Promise<void> {
    const config = join(this.fleet.control, 'config');
    await mkdir(config, { recursive: true });
    for (const name of ['fleet.yaml', 'authorization.yaml']) {
      await writeFile(join(config, name), await readFile(join(repository, 'config', name)));
    }
    const vars = {
      countersign_sidecar_fleet: join(config, 'fleet.yaml'),
      countersign_sidecar_authorization: this.matrix,
      countersign_sidecar_observed: join(this.fleet.control, 'observed'),
      countersign_gate_key: join(this.fleet.control, 'gate.key'),
      // Six hosts share the cores of one machine: a handshake that takes two seconds there is no interference.
      countersign_sidecar_timeouts: '{ connect: 5s }',
      countersign_phase_2_watch: '12s',
      countersign_upgrade_watch: '5s',
    };
    const lines = Object.entries(vars).map(([name, value]) => `${name}: ${value}`);
    await writeFile(
      join(this.fleet.control, 'inventory/group_vars/all/fleet.yml'),
      `---\n${lines.join('\n')}\n`,
    );
  }

  /** A playbook that must succeed. @returns its seconds and how many tasks changed something */
  async play(book: string, ...args: readonly string[]): Promise<Played> {
    const played = await this.fleet.play(book, ...args);
    if (played.status !== 0) throw new Error(`playbooks/${book}.yml failed:\n${essence(played)}`);
    const counts = [...played.stdout.matchAll(/\bchanged=(\d+)/g)].map(([, count]) => Number(count));
    const changed = counts.reduce((sum, count) => sum + count, 0);
    this.report.note(
      `playbooks/${book}.yml ${args.join(' ')}: ${played.seconds.toFixed(1)} s, ${changed} changes`,
    );
    return { seconds: played.seconds, changed, changedTasks: changedTasks(played.stdout) };
  }

  /** A command of `countersign` as the operator runs it on the control host. */
  async countersign(...args: readonly string[]): Promise<Finished> {
    return this.fleet.operator(join(repository, 'dist/countersign'), ...args);
  }

  /** What a sidecar's admin listener says, read inside the host's network. */
  async admin<T>(name: string, path: 'status' | 'denials' | 'observed'): Promise<T> {
    const request = `GET /${path} HTTP/1.0\\r\\nHost: 127.0.0.1:15000\\r\\n\\r\\n`;
    const script = `exec 3<>/dev/tcp/127.0.0.1/15000 && printf '${request}' >&3 && timeout 5 cat <&3`;
    const answer = await run(this.fleet.network.hostCommand(name, ['bash', '-c', script]));
    return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as T;
  }

  async status(name: string): Promise<Status> {
    return this.admin<Status>(name, 'status');
  }

  /** The version that the control host deploys. */
  async version(): Promise<string> {
    return (await this.countersign('--version')).stdout.trim();
  }

  /** The phases of all hosts, as `name phase` that are not `phase`. */
  async hostsNotIn(phase: Status['phase']): Promise<string[]> {
    const all = await Promise.all(
      this.names.map(async (name) => {
        const status = await this.status(name).catch(() => undefined);
        return status?.phase === phase && status.ready ? [] : [`${name} ${status?.phase ?? 'silent'}`];
      }),
    );
    return all.flat();
  }

  /** Whether no sidecar answers on any host. */
  async allSilent(): Promise<boolean> {
    const silent = this.names.map((name) =>
      this.status(name).then(
        () => false,
        () => true,
      ),
    );
    return (await Promise.all(silent)).every(Boolean);
  }

  /** Waits until something holds. @returns whether it did within the time */
  async until(withinMs: number, holds: () => Promise<boolean>): Promise<boolean> {
    const end = Date.now() + withinMs;
    for (;;) {
      if (await holds().catch(() => false)) return true;
      if (Date.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Lets the steady traffic run for a while. */
  async flow(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Checks that no call was lost since `from`, and counts those served for the rollout page. */
  async noneLost(
    from: number,
    during: string,
    except: (caller: string, callee: string) => boolean = () => false,
  ): Promise<Tally> {
    // The last calls get their answer first.
    await this.flow(1_000);
    const tally = await this.traffic.since(from);
    const lost = tally.lost.filter((call) => !except(call.caller, call.callee));
    this.timings.served += tally.served;
    this.timings.lost += lost.length;
    this.report.check(
      lost.length === 0 && tally.served > 0,
      `${during}: ${tally.served} calls served, none lost`,
      { lost: lost.length, first: lost.slice(0, 5) },
    );
    return tally;
  }
}

/** The lines of a playbook's output that say what went wrong. */
export function essence({ stdout, stderr }: Finished): string {
  const lines = `${stdout}\n${stderr}`
    .split('\n')
    .filter((line) => /^(fatal|ERROR|failed|\[ERROR)|FAILED!/.test(line));
  return lines.length > 0
    ? lines.map((line) => line.slice(0, 3000)).join('\n')
    : `${stdout}\n${stderr}`.slice(-4000);
}

/** What a play came to. */
interface Played {
  readonly seconds: number;
  readonly changed: number;
  /** `task @ host` of each change. */
  readonly changedTasks: readonly string[];
}

function changedTasks(stdout: string): string[] {
  const found: string[] = [];
  let task = '';
  for (const line of stdout.split('\n')) {
    task = /^(?:TASK|RUNNING HANDLER) \[(.*?)\]/.exec(line)?.[1] ?? task;
    const host = /^changed: \[([^\]]+)\]/.exec(line)?.[1];
    if (host !== undefined) found.push(`${task} @ ${host}`);
  }
  return found;
}
