import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StateError } from './state-error.ts';

/** File systems of the kernel's own, by the number that statfs(2) gives: what is written there is not stored. */
const kernelFileSystems: ReadonlyMap<number, string> = new Map([
  [0x9f_a0, 'proc'],
  [0x62_65_65_72, 'sysfs'],
  [0x64_62_67_20, 'debugfs'],
  [0x74_72_61_63, 'tracefs'],
  [0x27_e0_eb, 'cgroup'],
  [0x63_67_72_70, 'cgroup2'],
  [0x13_73, 'devfs'],
]);

/**
 * Asserts that a directory, or where it does not exist the nearest one above it, lies on a file system that stores files.
 *
 * @throws {StateError} when it lies under /proc, /sys or the like
 */
export async function assertStorable(directory: string): Promise<void> {
  for (let path = directory; ; path = dirname(path)) {
    const stats = await statfs(path).catch(() => undefined);
    const found = stats === undefined ? undefined : kernelFileSystems.get(stats.type);
    if (found !== undefined) {
      throw new StateError(
        `the state directory ${directory} lies on a ${found} file system, expected one that stores files: change \`state\` in sidecar.yaml`,
      );
    }
    if (stats !== undefined || path === dirname(path)) return;
  }
}
