import { readFile } from 'node:fs/promises';

/**
 * The number of a local group.
 *
 * @returns undefined when /etc/group does not name it
 * @see group(5)
 */
export async function groupId(name: string): Promise<number | undefined> {
  const text = await readFile('/etc/group', 'utf8').catch(() => '');
  const fields = text
    .split('\n')
    .map((line) => line.split(':'))
    .find(([found]) => found === name);
  const id = Number(fields?.[2] === '' ? undefined : fields?.[2]);
  return Number.isInteger(id) ? id : undefined;
}
