import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../build.ts';

const run = promisify(execFile);

interface Component {
  readonly 'bom-ref': string;
  readonly type: string;
  name: string;
  readonly version: string;
  readonly purl?: string;
  readonly [key: string]: unknown;
}

/** The part of a CycloneDX document that is changed here. */
interface Document {
  serialNumber: string;
  readonly metadata: { timestamp: string; readonly component: Component; readonly [key: string]: unknown };
  components: Component[];
  dependencies: { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly [key: string]: unknown;
}

/** Names of `process.versions` that are no software of their own, or Node itself. */
const notParts = new Set(['node', 'modules', 'napi', 'unicode', 'cldr', 'tz', 'uv_threadpool']);

/**
 * The bill of materials of the executables, CycloneDX in JSON: the npm packages that are really inside, and Node with
 * its own parts (OpenSSL, llhttp, V8 and so on).
 *
 * @param bundles the folder with the metafiles of the bundles
 * @param epoch seconds since the epoch, for its timestamp
 */
export async function billOfMaterials(
  bundles: string,
  programs: readonly string[],
  epoch: number,
): Promise<string> {
  // With `--omit dev` npm leaves out what a development dependency uses too; what is not inside goes below.
  const { stdout } = await run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const document = JSON.parse(stdout) as Document;
  const packed = await packagesIn(bundles, programs);
  const inside = document.components.filter((component) => packed.has(component['bom-ref']));
  const listed = new Set(inside.map((component) => component['bom-ref']));
  const missing = [...packed].filter((ref) => !listed.has(ref));
  if (missing.length > 0)
    throw new Error(`found ${missing.join(', ')} in the bundles, expected npm sbom to list them`);
  const node = nodeComponents();
  const refs = new Set([...inside, ...node].map((component) => component['bom-ref']));
  const [runtime, ...parts] = node.map((component) => component['bom-ref']) as [string, ...string[]];
  const project = document.metadata.component['bom-ref'];
  document.components = [...inside, ...node];
  document.dependencies = [
    ...document.dependencies
      .filter(({ ref }) => refs.has(ref) || ref === project)
      .map(({ ref, dependsOn }) => ({
        ref,
        dependsOn: [...dependsOn.filter((one) => refs.has(one)), ...(ref === project ? [runtime] : [])],
      })),
    { ref: runtime, dependsOn: parts },
    ...parts.map((ref) => ({ ref, dependsOn: [] })),
  ];
  // npm takes the name of the folder.
  document.metadata.component.name = 'countersign';
  document.metadata.timestamp = new Date(epoch * 1000).toISOString();
  document.serialNumber = 'urn:uuid:';
  const digest = createHash('sha256').update(JSON.stringify(document)).digest('hex');
  document.serialNumber = `urn:uuid:${uuidOf(digest)}`;
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The npm packages whose files are in the bundles, as `name@version`. */
async function packagesIn(bundles: string, programs: readonly string[]): Promise<Set<string>> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { name?: string; version: string }>;
  };
  const found = new Set<string>();
  for (const program of programs) {
    const { inputs } = JSON.parse(await readFile(join(bundles, `${program}.meta.json`), 'utf8')) as {
      inputs: Record<string, unknown>;
    };
    for (const input of Object.keys(inputs)) {
      const path = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input);
      if (path === null) continue;
      const locked = lock.packages[path[0]];
      found.add(`${locked?.name ?? path[1]}@${locked?.version}`);
    }
  }
  return found;
}

/** Node and its parts, as the Node that is packed tells them. */
function nodeComponents(): Component[] {
  const component = (name: string, version: string): Component => ({
    'bom-ref': `node:${name}@${version}`,
    type: 'library',
    name,
    version,
    purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
  });
  const { node } = process.versions;
  const parts = Object.entries(process.versions).filter(([name]) => !notParts.has(name));
  return [
    {
      ...component('node', node),
      type: 'platform',
      purl: `pkg:generic/node@${node}`,
      cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
    },
    ...parts.map(([name, version]) => component(name, version ?? '')),
  ];
}

/** A version 8 UUID (RFC 9562 section 5.8) of a digest: the same document has the same number. */
function uuidOf(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
