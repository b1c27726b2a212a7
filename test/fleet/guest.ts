import { spawn } from 'node:child_process';
import { appendFile, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeCgroup, processesIn, removeCgroup } from './cgroup.ts';
import { run } from './run-command.ts';

export interface GuestPlan {
  readonly name: string;
  readonly address: string;
  /** The image's root folder; never written to. */
  readonly image: string;
  /** An empty folder for what this host writes. */
  readonly folder: string;
  readonly networkNamespace: string;
  readonly cgroup: string;
  readonly authorizedKey: string;
  /** Folders shown inside, read-only: outside → inside. */
  readonly binds: Readonly<Record<string, string>>;
}

/** Units of Debian's that have no work in a guest, or would start what only one host runs. */
const masked = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'getty@tty1.service',
  'console-getty.service',
];

/** One host of the fleet: a Debian system with its own init, in systemd-nspawn, over an overlay of the image. */
export class Guest {
  readonly name: string;
  /** The one that it has now; the network gives it. */
  address: string;
  /** The host's root folder as the machine sees it. */
  readonly root: string;
  readonly #plan: GuestPlan;

  constructor(plan: GuestPlan) {
    this.#plan = plan;
    this.name = plan.name;
    this.address = plan.address;
    this.root = join(plan.folder, 'root');
  }

  /** Makes the overlay with an ssh host key and an empty machine id. */
  async prepare(): Promise<void> {
    const { folder, image } = this.#plan;
    for (const name of ['upper', 'work', 'root']) await mkdir(join(folder, name), { recursive: true });
    const layers = `lowerdir=${image},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
    await run(['mount', '-t', 'overlay', 'overlay', '-o', layers, this.root]);
    await this.write('etc/machine-id', '');
    await this.write('etc/hostname', `${this.name}\n`);
    await this.write('etc/hosts', `127.0.0.1 localhost ${this.name}\n`);
    await this.write('root/.ssh/authorized_keys', `${this.#plan.authorizedKey}\n`, 0o600);
    const hostKey = join(this.root, 'etc/ssh/ssh_host_ed25519_key');
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', this.name, '-f', hostKey]);
    for (const unit of masked) {
      await symlink('/dev/null', join(this.root, 'etc/systemd/system', unit)).catch(() => {});
    }
  }

  /** The host's public ssh key, for known_hosts. */
  async hostKey(): Promise<string> {
    return (await readFile(join(this.root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')).trim();
  }

  /** Writes a file of the host from outside. */
  async write(path: string, text: string, mode = 0o644): Promise<void> {
    const file = join(this.root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode });
  }

  async append(path: string, text: string): Promise<void> {
    await appendFile(join(this.root, path), text);
  }

  /** Starts the host's init, which outlives this process. It is up when it answers; nothing waits for that here. */
  async boot(): Promise<void> {
    const folders = await makeCgroup(this.#plan.cgroup);
    const enter = folders.map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(' && ');
    const nspawn = [
      'systemd-nspawn',
      '--quiet',
      '--register=no',
      '--keep-unit',
      `--machine=${this.#plan.cgroup}`,
      '-D',
      this.root,
      `--network-namespace-path=${this.#plan.networkNamespace}`,
      '--resolv-conf=off',
      '--timezone=off',
      '--link-journal=no',
      '--console=pipe',
      // For the host's own firewall, in its own network.
      '--capability=CAP_NET_ADMIN',
      ...Object.entries(this.#plan.binds).map(([outside, inside]) => `--bind-ro=${outside}:${inside}`),
      '--boot',
    ];
    const console = await open(join(this.#plan.folder, 'console.log'), 'a');
    const child = spawn('sh', ['-c', `${enter} && exec "$@"`, 'sh', ...nspawn], {
      stdio: ['ignore', console.fd, console.fd],
      detached: true,
    });
    child.unref();
    await console.close();
  }

  /** Waits until the host's init has ended, as after `systemctl reboot` inside. */
  async ended(): Promise<void> {
    while ((await this.#processes()).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** Ends everything that runs in the host at once. */
  async kill(): Promise<void> {
    for (let round = 0; round < 50; round += 1) {
      const left = await this.#processes();
      if (left.length === 0) break;
      for (const pid of left) tryKill(pid);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await removeCgroup(await makeCgroup(this.#plan.cgroup));
  }

  /** Makes the host anew from the image, as when a lost VM is replaced: other ssh host key, nothing installed. */
  async replace(): Promise<void> {
    await this.remove();
    await mkdir(this.#plan.folder, { recursive: true });
    await this.prepare();
  }

  async remove(): Promise<void> {
    await this.kill();
    await run(['umount', '-l', this.root]).catch(() => {});
    await rm(this.#plan.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #processes(): Promise<number[]> {
    return processesIn(await makeCgroup(this.#plan.cgroup));
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
