import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type BuildResult, build, type Metafile, type Plugin } from 'esbuild';

const load = createRequire(import.meta.url);

/**
 * undici keeps llhttp as a CommonJS module that exports a Buffer. Imported as such modules are, it would get a getter
 * for each of its 54,000 bytes: 13 MB of heap in every process.
 */
const llhttpAsBytes: Plugin = {
  name: 'llhttp-as-bytes',
  setup({ onLoad }) {
    onLoad({ filter: /\/undici\/lib\/llhttp\/llhttp_simd-wasm\.js$/ }, ({ path }) => ({
      contents: load(path) as Buffer,
      loader: 'binary',
    }));
  },
};

/**
 * prom-client loads all of itself, with collectors, a gateway and OpenTelemetry, for the three classes that are used here.
 * Each export is loaded when it is first asked for instead: a sixth of what a sidecar does at its start.
 */
const lazyMetrics: Plugin = {
  name: 'lazy-metrics',
  setup({ onLoad }) {
    onLoad({ filter: /\/prom-client\/index\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const contents = text.replace(
        /^exports\.(\w+) =\s+(require\('[^']+'\)[.\w]*);$/gm,
        "Object.defineProperty(exports, '$1', { enumerable: true, get: () => $2 });",
      );
      return { contents, loader: 'js' };
    });
  },
};

/** A program or a worker thread as one script, and what is in it. */
export interface Bundle {
  readonly code: Uint8Array;
  readonly metafile: Metafile;
}

/**
 * Bundles a module and all that it imports, without Node's own modules. Names stay, for stack traces and for whoever
 * wants to see what is inside; the rest is made small, because V8 keeps the source in memory for as long as it runs,
 * and in twice as many bytes when one character of a comment is not Latin-1. CommonJS, because an ES module that
 * imports one function of `node:http` calls all its lazy getters, and these load Node's own undici.
 *
 * @param folder top of the repository
 * @param entry from there
 * @param outfile how the metafile names the bundle; nothing is written there
 * @throws {Error} with esbuild's own message
 */
export async function bundle(folder: string, entry: string, outfile: string): Promise<Bundle> {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    absWorkingDir: folder,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'cjs',
    charset: 'ascii',
    minifyWhitespace: true,
    minifySyntax: true,
    // Stack traces name lines.
    lineLimit: 160,
    // The same bundle wherever node_modules really lies.
    preserveSymlinks: true,
    plugins: [llhttpAsBytes, lazyMetrics],
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error('esbuild gave no output');
  return { code: output.contents, metafile: result.metafile };
}

/** A page for browsers. */
export interface PageBundle {
  readonly script: Uint8Array;
  readonly styles: Uint8Array;
  readonly metafile: Metafile;
}

/**
 * Bundles a page for browsers: a script, and the styles that it imports. Nothing is inline, and nothing is loaded from
 * elsewhere.
 *
 * @param entry a module, from the top of the repository
 * @throws {Error} with esbuild's own message
 */
export async function bundlePage(folder: string, entry: string): Promise<PageBundle> {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    absWorkingDir: folder,
    entryPoints: [entry],
    outfile: 'page.js',
    bundle: true,
    platform: 'browser',
    target: ['chrome123', 'firefox121', 'safari17.5'],
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'ascii',
    minify: true,
    preserveSymlinks: true,
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const contentsOf = (end: string) => result.outputFiles.find(({ path }) => path.endsWith(end))?.contents;
  const [script, styles] = [contentsOf('.js'), contentsOf('.css')];
  if (script === undefined || styles === undefined)
    throw new Error(`esbuild gave no script or no styles of ${entry}`);
  return { script, styles, metafile: result.metafile };
}

/** What is in several bundles. */
export function together(bundles: readonly Pick<Bundle, 'metafile'>[]): Metafile {
  return {
    inputs: Object.assign({}, ...bundles.map(({ metafile }) => metafile.inputs)),
    outputs: Object.assign({}, ...bundles.map(({ metafile }) => metafile.outputs)),
  };
}
