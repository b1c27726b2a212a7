import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { check, readYaml } from '../../config/load.ts';
import { root } from '../../tools/build.ts';
import { exampleOf, keysOf, pages, pageText, referenceFolder } from '../../tools/reference.ts';

t.test('each page is what its schema makes', async (t) => {
  for (const page of pages) {
    const file = join(referenceFolder, page.name.replace('.yaml', '.md'));
    t.equal(await readFile(file, 'utf8'), pageText(page), `${page.name}: run node tools/reference.ts`);
  }
});

t.test('each key has a kind, a default or "required", and a meaning', async (t) => {
  for (const { name, schema } of pages) {
    const keys = keysOf(schema);
    t.ok(keys.length > 2, name);
    for (const { path, kind, fallback, meaning } of keys) {
      t.not(kind, '', `${name} ${path}`);
      t.ok(kind === 'section' || fallback !== '', `${name} ${path}: its default`);
      t.match(meaning, /\S/, `${name} ${path}: what it means`);
    }
  }
});

t.test('each file has an example that its schema accepts', async (t) => {
  for (const { name, schema } of pages) {
    const source = await readYaml(join(root, 'config', exampleOf(name)));
    t.doesNotThrow(() => check(source, schema as Parameters<typeof check>[1]), name);
  }
});
