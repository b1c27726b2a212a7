import { readdir, readFile } from 'node:fs/promises';
import { getAsset, getAssetKeys, isSea } from 'node:sea';

/** A text file that ships with the program. */
export interface TextAsset {
  /** Its name without the folder. */
  readonly name: string;
  /** Its text, or why it could not be read. */
  readonly text: string | Error;
}

/**
 * The files of one folder of the project with one extension, sorted by name. Inside a single executable they
 * are the assets named by the same path. A folder that does not exist has no files.
 */
export async function textAssets(folder: 'core/database', extension: '.sql'): Promise<TextAsset[]> {
  if (isSea()) {
    return getAssetKeys()
      .filter((key) => key.startsWith(`${folder}/`) && key.endsWith(extension))
      .sort()
      .map((key) => ({ name: key.slice(folder.length + 1), text: getAsset(key, 'utf8') }));
  }
  const directory = new URL(`../../${folder}/`, import.meta.url);
  return readTextFolder(directory, extension);
}

/** The files of any folder with one extension, sorted by name. */
export async function readTextFolder(directory: URL | string, extension: string): Promise<TextAsset[]> {
  let names: string[];
  try {
    names = (await readdir(directory)).filter((name) => name.endsWith(extension)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return Promise.all(
    names.map(async (name) => {
      const file =
        directory instanceof URL ? new URL(encodeURIComponent(name), directory) : `${directory}/${name}`;
      return { name, text: await readFile(file, 'utf8').catch((error: Error) => error) };
    }),
  );
}
