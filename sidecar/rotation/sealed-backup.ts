import { AnsweredNo } from '../terms/exit-codes.ts';
import { type Backup, backupSchema } from './backup.ts';

/** To whom a backup is encrypted: whoever knows a passphrase, or holds the identities of age recipients (`age1…`). */
export type BackupLock = { readonly passphrase: string } | { readonly recipients: readonly string[] };

/** With what a backup is opened. */
export type BackupKey = { readonly passphrase: string } | { readonly identities: readonly string[] };

/**
 * Encrypts a backup as an age file (age-encryption.org/v1), in its text form.
 *
 * @throws {RangeError} when a recipient is none; the text of it is not repeated
 */
export async function sealBackup(backup: Backup, lock: BackupLock): Promise<string> {
  const { armor, Encrypter } = await loadAge();
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase);
  else
    for (const recipient of lock.recipients)
      try {
        encrypter.addRecipient(recipient);
      } catch {
        throw new RangeError('found no age recipient, expected one such as age1…');
      }
  return `${armor.encode(await encrypter.encrypt(JSON.stringify(backup))).trimEnd()}\n`;
}

/** @throws {AnsweredNo} when the file is none, was changed, or is encrypted to someone else */
export async function openBackup(file: string, text: string, key: BackupKey): Promise<Backup> {
  const { armor, Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  let plain: string;
  try {
    if ('passphrase' in key) decrypter.addPassphrase(key.passphrase);
    else for (const identity of key.identities) decrypter.addIdentity(identity);
    plain = await decrypter.decrypt(armor.decode(text), 'text');
  } catch {
    throw new AnsweredNo(
      `${file}: found a file that this ${'passphrase' in key ? 'passphrase' : 'identity'} does not open, expected a backup made by countersign keys backup`,
    );
  }
  const parsed = backupSchema.safeParse(JSON.parse(plain));
  if (parsed.success) return parsed.data;
  const place = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new AnsweredNo(`${file}: found a fault at ${place}, expected a backup of this version`);
}

/** Most commands never need its curves, which take time to load. */
function loadAge() {
  return import('age-encryption');
}
