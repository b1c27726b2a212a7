import type { Fleet } from '../config/fleet.ts';

/** One group of Prometheus's HTTP service discovery. */
export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Every host of the fleet as a target of Prometheus (`http_sd_configs`), scraped through the console.
 *
 * @param console where Prometheus reaches the console, such as `127.0.0.1:15080`
 */
export function hostTargets(fleet: Fleet, console: string): TargetGroup[] {
  return [...fleet.services.values()].flatMap(({ name, hosts }) =>
    hosts.map((host) => ({
      targets: [console],
      labels: {
        __metrics_path__: `/hosts/${name}/${encodeURIComponent(host)}/metrics`,
        service: name,
        host,
      },
    })),
  );
}
