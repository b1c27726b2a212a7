/** Where things are on a host; the role countersign_sidecar puts them there. */
export interface Layout {
  /** Holds a folder for each version, and the links `current` and `previous`. */
  readonly versions: string;
  /** Holds a folder for each version with its sidecar.yaml. */
  readonly configuration: string;
  /** Holds gate.json, and for each version VERSION.yaml, the configuration of its guard. */
  readonly guard: string;
  /** systemd's own units of this host; the links in multi-user.target.wants say what boots. */
  readonly units: string;
  /** Held while a swap runs. */
  readonly lock: string;
  readonly systemctl: string;
}

export const hostLayout: Layout = {
  versions: '/opt/countersign',
  configuration: '/etc/countersign',
  guard: '/etc/countersign-guard',
  units: '/etc/systemd/system',
  lock: '/run/countersign-swap.lock',
  systemctl: 'systemctl',
};
