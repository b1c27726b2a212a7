import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { build, dist, root } from '../../tools/build.ts';
import { makeDeb } from '../../tools/release/deb.ts';
import { debianPackages } from '../../tools/release/packages.ts';
import { billOfMaterials } from '../../tools/release/sbom.ts';
import { tempFolder } from '../support/temp-folder.ts';

// `dpkg -i`, upgrade, remove and purge on a booted host: the story "packages" of the fleet test.

const run = promisify(execFile);

t.test(
  'the bill of materials has what is inside and no more, Node with its own parts, and the same bytes twice',
  async (t) => {
    const name = 'countersign-enforcing';
    await build([name]);
    const make = () => billOfMaterials(join(dist, 'bundles'), [name], 1_764_000_000);
    const text = await make();
    t.equal(await make(), text);
    const document = JSON.parse(text);
    t.equal(document.bomFormat, 'CycloneDX');
    t.equal(document.metadata.component.name, 'countersign');
    const versions = Object.fromEntries(
      document.components.map(({ name, version }: { name: string; version: string }) => [name, version]),
    );
    const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
    t.equal(versions.yaml, lock.packages['node_modules/yaml'].version);
    t.equal(versions.node, process.versions.node);
    for (const part of ['openssl', 'llhttp', 'v8', 'zlib'])
      t.equal(versions[part], process.versions[part], part);
    t.notOk('fastify' in versions, 'the core is another program');
    t.notOk('esbuild' in versions, 'what builds is not inside');
    const refs = new Set(document.components.map((each: Record<string, string>) => each['bom-ref']));
    for (const { dependsOn } of document.dependencies)
      for (const ref of dependsOn) t.ok(refs.has(ref), `${ref} is listed`);
  },
);

t.test('packages: the same input gives the same bytes; units run programs that are inside', async (t) => {
  const folder = await tempFolder(t);
  const executables = join(folder, 'executables');
  const manual = join(folder, 'man');
  await mkdir(executables);
  await mkdir(manual);
  await writeFile(join(manual, 'countersign.1'), '.TH COUNTERSIGN 1\n');
  // What is packed does not matter here.
  for (const name of ['countersign', 'countersign-logging', 'countersign-enforcing', 'countersign-core'])
    await cp('/bin/true', join(executables, name));
  const packages = debianPackages('1.2.3');
  const hashes: string[][] = [];
  for (const out of ['first', 'second']) {
    const files = await Promise.all(
      packages.map((pkg) =>
        makeDeb(pkg, {
          version: '1.2.3',
          architecture: 'arm64',
          executables,
          manual,
          out: join(folder, out),
          epoch: 1_764_000_000,
        }),
      ),
    );
    hashes.push(
      await Promise.all(
        files.map(async (file) =>
          createHash('sha256')
            .update(await readFile(file))
            .digest('hex'),
        ),
      ),
    );
  }
  t.same(hashes[0], hashes[1]);

  const contents = await Promise.all(
    packages.map(async ({ name }) => {
      const { stdout } = await run('dpkg-deb', ['-c', join(folder, `first/${name}_1.2.3_arm64.deb`)]);
      return stdout;
    }),
  );
  const all = contents.join('');
  t.match(all, './usr/share/man/man1/countersign.1.gz');
  t.match(all, /-rwxr-xr-x root\/root .* \.\/usr\/lib\/countersign\/countersign-logging$/m);
  t.match(all, './usr/bin/countersign -> ../lib/countersign/countersign');
  t.match(all, './usr/lib/systemd/system/countersign-guard@.service');
  for (const pkg of packages)
    for (const [path, text] of pkg.files) {
      t.notMatch(text, /\{\{|@VERSION@|usr\/local/, path);
      for (const [, program] of text.matchAll(/^Exec\w+=(\/usr\/\S+)/gm))
        t.match(all, `.${program}`, `${path} runs ${program}`);
    }

  const { stdout: control } = await run('dpkg-deb', [
    '-f',
    join(folder, 'first/countersign-sidecar_1.2.3_arm64.deb'),
  ]);
  t.match(control, /^Version: 1\.2\.3$/m);
  t.match(control, /^Architecture: arm64$/m);
  t.match(control, /^Depends: .*libatomic1.*countersign \(= 1\.2\.3\)/m);
});

t.test('maintainer scripts are shell that parses, and none is left over', async (t) => {
  for (const name of ['countersign-sidecar', 'countersign-core'])
    for (const script of ['postinst', 'prerm', 'postrm'])
      await t.resolves(
        run('sh', ['-n', join(root, 'tools/release/debian', `${name}.${script}`)]),
        `${name}.${script}`,
      );
});
