import { existsSync } from 'node:fs';
import { run } from './run-command.ts';

/** The bridge's own address: where the control host (Ansible, ssh) stands. */
const controlAddress = '172.16.168.1';

/**
 * The network of the fleet. The bridge lives in a namespace of its own, the control namespace, and every host has
 * another, joined to it by a veth pair: no packet meets an interface of the machine itself.
 */
export class FleetNetwork {
  readonly control: string;
  readonly #id: string;
  readonly #made: string[] = [];

  /** @param id a few letters that tell this run's namespaces from another's */
  constructor(id: string) {
    this.#id = id;
    this.control = `${id}-control`;
  }

  async open(): Promise<void> {
    await this.#namespace(this.control);
    await this.inControl(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    await this.inControl(['ip', 'address', 'add', `${controlAddress}/24`, 'dev', 'br0']);
    await this.inControl(['ip', 'link', 'set', 'br0', 'up']);
  }

  /** Makes the namespace of a host with `address` on its eth0. @returns its path, as systemd-nspawn wants it */
  async join(host: string, address: string): Promise<string> {
    const name = `${this.#id}-${host}`;
    if (existsSync(`/run/netns/${name}`)) return `/run/netns/${name}`;
    await this.#namespace(name);
    const port = portOf(address);
    const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', name];
    await this.inControl(['ip', 'link', 'add', port, ...pair]);
    await this.inControl(['ip', 'link', 'set', port, 'master', 'br0', 'up']);
    const inside = ['ip', '-n', name];
    await run([...inside, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    await run([...inside, 'link', 'set', 'eth0', 'up']);
    return `/run/netns/${name}`;
  }

  /** Gives a host another address; its cable is named after it. */
  async readdress(host: string, from: string, to: string): Promise<void> {
    const inside = ['ip', '-n', `${this.#id}-${host}`, 'address'];
    await run([...inside, 'add', `${to}/24`, 'dev', 'eth0']);
    await run([...inside, 'del', `${from}/24`, 'dev', 'eth0']);
    const port = portOf(from);
    await this.inControl(['ip', 'link', 'set', port, 'down']);
    await this.inControl(['ip', 'link', 'set', port, 'name', portOf(to)]);
    await this.inControl(['ip', 'link', 'set', portOf(to), 'up']);
  }

  /** Cuts the host's cable, or repairs it. */
  async cable(address: string, state: 'up' | 'down'): Promise<void> {
    await this.inControl(['ip', 'link', 'set', portOf(address), state]);
  }

  /** From now on what `caller` sends to `calleeAddress` comes to the host `relay`, which has that address as well. */
  async standBetween(caller: string, calleeAddress: string): Promise<void> {
    const address = '172.16.168.67';
    await this.join('relay', address);
    // It answers nobody else who asks for the address.
    await run(this.hostCommand('relay', ['sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1']));
    await run(['ip', '-n', `${this.#id}-relay`, 'address', 'add', `${calleeAddress}/32`, 'dev', 'lo']);
    await run(['ip', '-n', `${this.#id}-${caller}`, 'route', 'add', `${calleeAddress}/32`, 'via', address]);
  }

  async stepAside(caller: string, calleeAddress: string): Promise<void> {
    await run(['ip', '-n', `${this.#id}-${caller}`, 'route', 'del', `${calleeAddress}/32`]);
    await run(['ip', '-n', `${this.#id}-relay`, 'address', 'del', `${calleeAddress}/32`, 'dev', 'lo']);
  }

  /** A command as the control host runs it. */
  controlCommand(command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.control, ...command];
  }

  /** A command inside the network of a host, run by the machine. */
  hostCommand(host: string, command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', `${this.#id}-${host}`, ...command];
  }

  async inControl(command: readonly string[]): Promise<string> {
    return run(this.controlCommand(command));
  }

  async close(): Promise<void> {
    for (const name of this.#made.toReversed()) await run(['ip', 'netns', 'delete', name]).catch(() => {});
  }

  async #namespace(name: string): Promise<void> {
    await run(['ip', 'netns', 'add', name]);
    this.#made.push(name);
    await run(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  }
}

function portOf(address: string): string {
  return `port${address.slice(address.lastIndexOf('.') + 1)}`;
}
