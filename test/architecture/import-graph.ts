import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import type { Allowed } from './allowed-imports.ts';

/** What each file imports, by path from the root: other files, and modules of Node or packages by name. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

const source = /\.(?:tsx?|mjs)$/;
/** Static imports and exports, types included, and dynamic imports of a literal. */
const specifiers =
  /^import\s+(?:type\s+)?(?:[\w*{},\s]+?\s+from\s+)?'([^']+)'|^export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+'([^']+)'|(?<!@link )\bimport\(\s*'([^']+)'\s*\)/gm;

/** Reads the imports of all source files in some folders. */
export async function readImportGraph(root: string, folders: readonly string[]): Promise<ImportGraph> {
  const graph = new Map<string, string[]>();
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile() || !source.test(entry.name)) continue;
      const file = relative(root, join(entry.parentPath, entry.name));
      const text = await readFile(join(root, file), 'utf8');
      const imports = [...text.matchAll(specifiers)].map((match) => match.slice(1).find(Boolean) as string);
      graph.set(
        file,
        imports.map((name) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name)),
      );
    }
  }
  return graph;
}

/** Imports that the table does not allow, each as a sentence. */
export function forbiddenImports(graph: ImportGraph, table: Readonly<Record<string, Allowed>>): string[] {
  const faults: string[] = [];
  for (const [file, imports] of graph) {
    const folder = folderOf(file, table);
    const allowed = folder === undefined ? undefined : table[folder];
    if (folder === undefined || allowed === undefined) {
      faults.push(`${file} lies in no folder of the table`);
      continue;
    }
    for (const target of imports) {
      const to = folderOf(target, table);
      if (to === folder || target === 'package.json') continue;
      if (to !== undefined) {
        if (!allowed.folders.includes(to))
          faults.push(`${file} imports ${target}: ${folder} may not use ${to}`);
      } else if (allowed.packages !== undefined && !allowed.packages.includes(target)) {
        faults.push(`${file} imports ${target}: ${folder} may not use it`);
      }
    }
  }
  return faults;
}

function folderOf(path: string, table: Readonly<Record<string, Allowed>>): string | undefined {
  const [first = '', second] = path.split('/');
  const nested = `${first}/${second}`;
  return nested in table ? nested : first in table ? first : undefined;
}

/** Entries of the table that allow an import upwards: of a folder that does not stand before them. */
export function upwardEntries(table: Readonly<Record<string, Allowed>>): string[] {
  const before = new Set<string>();
  const faults: string[] = [];
  for (const [folder, { folders }] of Object.entries(table)) {
    for (const used of folders)
      if (!before.has(used)) faults.push(`${folder} may use ${used}, which is above it`);
    before.add(folder);
  }
  return faults;
}

/** Entries of the table that nothing uses any more. */
export function unusedEntries(graph: ImportGraph, table: Readonly<Record<string, Allowed>>): string[] {
  const used = new Set<string>();
  for (const [file, imports] of graph) {
    const folder = folderOf(file, table);
    for (const target of imports) used.add(`${folder} ${folderOf(target, table) ?? target}`);
  }
  return Object.entries(table).flatMap(([folder, { folders, packages = [] }]) =>
    [...folders, ...packages]
      .filter((target) => !used.has(`${folder} ${target}`))
      .map((target) => `${folder} does not use ${target}`),
  );
}

/** A circle of files, if there is one: each imports the next, the last one the first. */
export function fileCircle(graph: ImportGraph): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (done.has(file)) return undefined;
    const at = path.indexOf(file);
    if (at >= 0) return path.slice(at);
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      const circle = graph.has(target) ? visit(target) : undefined;
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
