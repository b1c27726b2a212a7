import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { loadMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import { loadSidecarConfig } from '../config/sidecar-config.ts';
import { replaceFile } from '../files/replace-file.ts';
import { readSecretFile, writeSecretFile } from '../keyring/secret-file.ts';
import { fixedFiles, type HostFile, type SidecarPlace } from '../new-fleet/host-files.ts';
import type { PolicyTexts } from '../new-fleet/policy-text.ts';
import { FileStore } from '../rotation/file-store.ts';
import { generationsInUse } from '../rotation/generations-in-use.ts';
import { initKeys } from '../rotation/init-keys.ts';
import { OutFolder } from '../rotation/out-folder.ts';
import { KeyRegistry } from '../rotation/registry.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { type Place, placeName, placesOf } from '../rotation/roots.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { readAsset } from './assets.ts';

/** Shows that a folder was made by `countersign init`. */
const markName = '.countersign-init';

const names = { fleet: 'fleet.yaml', authorization: 'authorization.yaml' } as const;

/** A fleet's files after a change. */
export interface WrittenFleet {
  readonly sidecars: readonly SidecarPlace[];
  /** The services that got a key. */
  readonly keyed: readonly string[];
}

/**
 * Makes the folder of a new fleet: all of it appears at once, or nothing.
 *
 * @throws {UsageError} when the folder holds anything
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function createFleetFolder(path: string, policy: PolicyTexts): Promise<WrittenFleet> {
  const folder = resolve(path);
  const found = await entries(folder);
  if (found.includes(markName))
    throw new UsageError(
      `--dir: found a fleet in ${path} already, expected a new folder; countersign init add changes a fleet`,
    );
  if (found.length > 0)
    throw new UsageError(
      `--dir: found files in ${path} that countersign init did not make, expected a new folder`,
    );
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    await checkPolicy(draft, policy);
    const written = await writeFleet(draft, policy);
    // Whoever keeps the folder in git must not keep its keys there.
    await replaceFile(join(draft, '.gitignore'), '/registry*\n/keyrings/\n/hosts/\n', { mode: 0o644 });
    await replaceFile(join(draft, markName), 'Made by countersign init; countersign init add changes it.\n');
    await rename(draft, folder);
    return written;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * Changes a fleet's folder. Everything is checked before the first byte is written; fleet.yaml comes last, so that the
 * same change can be repeated after a crash.
 *
 * @throws {UsageError} when `countersign init` did not make the folder
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function changeFleetFolder(
  path: string,
  change: (before: PolicyTexts) => PolicyTexts,
): Promise<WrittenFleet> {
  const folder = resolve(path);
  if (!(await entries(folder)).includes(markName))
    throw new UsageError(`--dir: found no fleet of countersign init in ${path}, expected one`);
  const before = {
    fleet: await readFile(join(folder, names.fleet), 'utf8'),
    authorization: await readFile(join(folder, names.authorization), 'utf8'),
  };
  await loadMatrix(join(folder, names.authorization), await loadFleet(join(folder, names.fleet)));
  const policy = change(before);
  const draft = await mkdtemp(join(folder, '.draft-'));
  try {
    await checkPolicy(draft, policy);
    return await writeFleet(folder, policy);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Writes what the policy says to a draft, and reads it as the sidecars will. */
async function checkPolicy(draft: string, policy: PolicyTexts): Promise<void> {
  const fleet = await writePolicy(draft, policy);
  await loadMatrix(join(draft, names.authorization), fleet);
  for (const place of placesOf(fleet).flatMap((one) => sidecarPlaces(fleet, one))) {
    const file = join(draft, 'sidecar.yaml');
    await replaceFile(file, fixedFile(place, policy, 'sidecar.yaml').text);
    await loadSidecarConfig(file);
    await rm(file);
  }
}

async function writePolicy(folder: string, policy: PolicyTexts): Promise<Fleet> {
  await replaceFile(join(folder, names.authorization), policy.authorization, { mode: 0o644 });
  await replaceFile(join(folder, names.fleet), policy.fleet, { mode: 0o644 });
  return loadFleet(join(folder, names.fleet));
}

async function writeFleet(folder: string, policy: PolicyTexts): Promise<WrittenFleet> {
  const draft = await mkdtemp(join(folder, '.draft-'));
  try {
    const fleet = await writePolicy(draft, policy);
    const out = new OutFolder(join(folder, 'keyrings'));
    const keyed = await makeKeys(join(folder, 'registry'), fleet, out);
    for (const place of placesOf(fleet)) await writeHost(folder, place, fleet, policy, out);
    await writePolicy(folder, policy);
    return { keyed, sidecars: placesOf(fleet).flatMap((place) => sidecarPlaces(fleet, place)) };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Roots that are there stay; every sidecar's keyring is made for the fleet as it is now. */
async function makeKeys(registryFile: string, fleet: Fleet, out: OutFolder): Promise<string[]> {
  const store = await FileStore.open(registryFile);
  try {
    const registry = new KeyRegistry(store);
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const rotator = { fleet, registry, out, now: Date.now, say };
    const { signal } = new AbortController();
    return await withRegistryLock(registry, { takeOver: false, signal, say }, async () =>
      initKeys(rotator, await generationsInUse(rotator, { adminUrls: [] }, signal), new Set()),
    );
  } finally {
    store.close();
  }
}

/** What is there of a host stays, but for what follows the fleet: both policy files and the keyring. */
async function writeHost(
  folder: string,
  place: Place,
  fleet: Fleet,
  policy: PolicyTexts,
  out: OutFolder,
): Promise<void> {
  const host = join(folder, 'hosts', placeName(place));
  await mkdir(host, { recursive: true, mode: 0o700 });
  const there = new Set(await entries(host));
  for (const sidecar of sidecarPlaces(fleet, place)) {
    // It comes last, so it says that the others are there.
    if (there.has('install.sh')) continue;
    await mkdir(join(host, 'units'), { recursive: true, mode: 0o700 });
    for (const { name, text, mode } of fixedFiles(sidecar, policy, readAsset))
      await replaceFile(join(host, name), text, { mode });
  }
  await replaceFile(join(host, names.fleet), policy.fleet, { mode: 0o644 });
  await replaceFile(join(host, names.authorization), policy.authorization, { mode: 0o644 });
  await writeSecretFile(join(host, 'keyring.json'), await readSecretFile(out.fileOf(placeName(place))));
}

/** None for a service that only calls others: it signs with its keyring, and needs no sidecar. */
function sidecarPlaces(fleet: Fleet, { service, host }: Place): SidecarPlace[] {
  const { inbound, app } = fleet.services.get(service) ?? {};
  return inbound === undefined || app === undefined ? [] : [{ service, host, inbound, app }];
}

function fixedFile(place: SidecarPlace, policy: PolicyTexts, name: string): HostFile {
  return fixedFiles(place, policy, readAsset).find((file) => file.name === name) as HostFile;
}

async function entries(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new UsageError(`found ${error.code} at ${folder}, expected a folder`);
  });
}
