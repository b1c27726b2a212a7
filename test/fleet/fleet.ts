import { existsSync } from 'node:fs';
import { cp, glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { Guest } from './guest.ts';
import { FleetNetwork } from './network.ts';
import { attempt, type Finished, type RunOptions, run } from './run-command.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** Where hosts see the repository, read-only: the sample services and the Node that runs them. */
const inside = '/opt/fleet-test';
const node = `${inside}/node_modules/node-linux-${process.arch}/bin/node`;

/** What a process needs to know of a fleet that it has not made. */
interface FleetRecord {
  readonly id: string;
  readonly folder: string;
  readonly image: string;
}

interface Inventory {
  readonly all: { readonly children: Record<string, { hosts?: Record<string, { ansible_host?: string }> }> };
}

/** Six hosts and the control host beside them. */
export class Fleet {
  readonly guests: Guest[];
  readonly network: FleetNetwork;
  /** The control host's folder: ssh keys, its inventory, what the operator keeps. */
  readonly control: string;
  readonly #made: FleetRecord;

  private constructor(made: FleetRecord, network: FleetNetwork) {
    this.#made = made;
    this.control = join(made.folder, 'control');
    this.network = network;
    this.guests = [];
  }

  /** Makes the hosts of the example inventory; none is booted yet. */
  static async make(id: string, folder: string, image: string): Promise<Fleet> {
    const control = join(folder, 'control');
    await mkdir(control, { recursive: true, mode: 0o700 });
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'operator', '-f', join(control, 'ssh')]);
    const network = new FleetNetwork(id);
    await network.open();
    const fleet = new Fleet({ id, folder, image }, network);
    for (const [name, address] of await inventoryAddresses())
      await (await fleet.#guestAt(name, address)).prepare();
    await fleet.#settleControl();
    return fleet;
  }

  /** The fleet that another process has made and still holds. */
  static async attach(folder: string): Promise<Fleet> {
    const made = JSON.parse(await readFile(join(folder, 'fleet.json'), 'utf8')) as FleetRecord & {
      guests: [string, string][];
    };
    const fleet = new Fleet(made, new FleetNetwork(made.id));
    for (const [name, address] of made.guests) await fleet.#guestAt(name, address);
    return fleet;
  }

  /** A further host, prepared and not booted. */
  async add(name: string, address: string): Promise<Guest> {
    const guest = await this.#guestAt(name, address);
    await guest.prepare();
    await this.#settleControl();
    return guest;
  }

  /** Gives a host another address. */
  async readdress(name: string, address: string): Promise<void> {
    const guest = this.guest(name);
    await this.network.readdress(name, guest.address, address);
    guest.address = address;
    await this.#settleControl();
    await this.closeConnections();
  }

  /** Takes a host away. */
  async dismiss(name: string): Promise<void> {
    await this.guest(name).remove();
    this.guests.splice(this.guests.indexOf(this.guest(name)), 1);
    await this.#settleControl();
  }

  /** Writes down which ssh key each host has now, as the operator who has made or replaced a VM does. */
  async learnHostKeys(): Promise<void> {
    await this.#settleControl();
  }

  async #guestAt(name: string, address: string): Promise<Guest> {
    const { id, folder, image } = this.#made;
    const guest = new Guest({
      name,
      address,
      image,
      folder: join(folder, name),
      networkNamespace: await this.network.join(name, address),
      cgroup: `${id}-${name}`,
      authorizedKey: (await readFile(join(this.control, 'ssh.pub'), 'utf8')).trim(),
      binds: { [repository]: inside },
    });
    this.guests.push(guest);
    return guest;
  }

  guest(name: string): Guest {
    const guest = this.guests.find((candidate) => candidate.name === name);
    if (guest === undefined) throw new Error(`no host ${name} in the inventory`);
    return guest;
  }

  /** Boots the named hosts (default: all) and waits until ssh answers. */
  async boot(names: readonly string[] = this.guests.map(({ name }) => name)): Promise<void> {
    const guests = names.map((name) => this.guest(name));
    await Promise.all(guests.map((guest) => guest.boot()));
    await Promise.all(guests.map((guest) => this.#answers(guest)));
  }

  /** Reboots a host as its operator would, with `systemctl reboot` in it. */
  async reboot(name: string): Promise<void> {
    await this.ssh(name, 'systemctl reboot').catch(() => {});
    await this.guest(name).ended();
    await this.guest(name).kill();
    await this.boot([name]);
  }

  /** A shell command on a host. @throws {Error} unless it ends with 0 */
  async ssh(name: string, command: string, options: RunOptions = {}): Promise<string> {
    return run(this.#sshCommand(name, command), options);
  }

  async trySsh(name: string, command: string): Promise<Finished> {
    return attempt(this.#sshCommand(name, command), { limitMs: 60_000 });
  }

  /** Runs a playbook of the collection from the control host, as an operator would. */
  play(book: string, ...args: readonly string[]): Promise<Finished & { seconds: number }> {
    return this.playOf(repository, book, ...args);
  }

  /** Runs a playbook of another checkout. */
  async playOf(
    checkout: string,
    book: string,
    ...args: readonly string[]
  ): Promise<Finished & { seconds: number }> {
    const started = Date.now();
    const command = [
      'ansible-playbook',
      '-i',
      join(this.control, 'inventory'),
      `playbooks/${book}.yml`,
      ...args,
    ];
    const finished = await attempt(this.network.controlCommand(command), {
      cwd: join(checkout, 'ansible'),
      env: this.#ansibleEnvironment(),
      limitMs: 900_000,
    });
    await writeFile(join(this.#made.folder, `${book}-${started}.log`), finished.stdout + finished.stderr);
    return { ...finished, seconds: (Date.now() - started) / 1000 };
  }

  /** Ends the ssh connections that Ansible keeps open, so that the next play makes new ones. */
  async closeConnections(): Promise<void> {
    for await (const socket of glob(join(this.control, 'cp/*')))
      await attempt(['ssh', '-O', 'exit', '-S', socket, 'host']);
  }

  /** A command of the operator's on the control host, in its folder. */
  async operator(...command: readonly string[]): Promise<Finished> {
    return attempt(this.network.controlCommand(command), { cwd: this.control });
  }

  async remove(): Promise<void> {
    await Promise.all(this.guests.map((guest) => guest.remove()));
    await this.network.close();
  }

  #sshCommand(name: string, command: string): string[] {
    return this.network.controlCommand([
      'ssh',
      '-F',
      join(this.control, 'ssh_config'),
      `root@${this.guest(name).address}`,
      command,
    ]);
  }

  #ansibleEnvironment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      HOME: this.control,
      ANSIBLE_SSH_ARGS: `-F ${join(this.control, 'ssh_config')} -o ControlMaster=auto -o ControlPersist=60s`,
      ANSIBLE_SSH_CONTROL_PATH_DIR: join(this.control, 'cp'),
      ANSIBLE_LOCAL_TEMP: join(this.control, 'tmp'),
      ANSIBLE_PIPELINING: '1',
      ANSIBLE_NOCOLOR: '1',
    };
  }

  async #answers(guest: Guest): Promise<void> {
    const until = Date.now() + 60_000;
    for (;;) {
      const answer = await this.trySsh(guest.name, 'systemctl is-system-running --wait; true');
      if (answer.status === 0) return;
      if (Date.now() > until) {
        const console = await readFile(join(this.#made.folder, guest.name, 'console.log'), 'utf8').catch(
          () => '',
        );
        throw new Error(`${guest.name} does not answer on ssh: ${answer.stderr}\n${console.slice(-2000)}`);
      }
    }
  }

  async #settleControl(): Promise<void> {
    const guests = this.guests.map(({ name, address }) => [name, address]);
    await writeFile(join(this.#made.folder, 'fleet.json'), JSON.stringify({ ...this.#made, guests }));
    const known = await Promise.all(
      this.guests.map(async (guest) => `${guest.address} ${await guest.hostKey()}\n`),
    );
    await writeFile(join(this.control, 'known_hosts'), known.join(''));
    await writeFile(
      join(this.control, 'ssh_config'),
      [
        'Host *',
        `  IdentityFile ${join(this.control, 'ssh')}`,
        `  UserKnownHostsFile ${join(this.control, 'known_hosts')}`,
        '  User root',
        '  BatchMode yes',
        '  ConnectTimeout 5',
        '  ServerAliveInterval 5',
        '',
      ].join('\n'),
    );
    const inventory = join(this.control, 'inventory');
    if (existsSync(inventory)) return;
    await cp(join(repository, 'ansible/inventory'), inventory, { recursive: true });
    await mkdir(join(inventory, 'group_vars/all'), { recursive: true });
    await writeFile(join(inventory, 'group_vars/all/operator.yml'), '---\nansible_user: root\n');
  }
}

/** Host → address, from the example inventory that ships with the collection. */
async function inventoryAddresses(): Promise<[string, string][]> {
  const text = await readFile(join(repository, 'ansible/inventory/hosts.yml'), 'utf8');
  const { children } = (parse(text) as Inventory).all;
  const hosts = Object.values(children).flatMap(({ hosts = {} }) => Object.entries(hosts));
  const addresses = hosts.flatMap(([name, host]): [string, string][] =>
    host?.ansible_host === undefined ? [] : [[name, host.ansible_host]],
  );
  return [...new Map(addresses)];
}

export { inside, node };

/** A fresh folder for one run. */
export async function runFolder(): Promise<string> {
  await mkdir('/var/tmp', { recursive: true });
  return mkdtemp('/var/tmp/countersign-fleet-');
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
