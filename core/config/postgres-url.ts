/** Where PostgreSQL is, as the URL in core.yaml says it. */
export interface PostgresAddress {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
}

const form =
  'postgres://USER@HOST:PORT/DATABASE, or several HOST:PORT with commas: the primary and its replicas';
const urlForm = /^postgres(?:ql)?:\/\/([^:/@\s]+)@([^/@\s?]+)\/([^/@\s?]+)$/;
const nodeForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::(\d{1,5}))?$/;
const defaultPort = 5432;

/**
 * Parses the URL of a PostgreSQL database. A password in it is refused: it has a file.
 *
 * @throws {RangeError} whose message says which form is expected
 */
export function parsePostgresUrl(text: string): PostgresAddress {
  if (/^postgres(ql)?:\/\/[^/@]*:[^/@]*@/.test(text)) {
    throw new RangeError(`a URL without a password (it belongs in postgres.password_file): ${form}`);
  }
  const [, user, hosts, database] = urlForm.exec(text) ?? [];
  if (user === undefined || hosts === undefined || database === undefined) throw new RangeError(form);
  return {
    user: decodeURIComponent(user),
    database: decodeURIComponent(database),
    hosts: hosts.split(',').map(parseNode),
  };
}

function parseNode(text: string): { host: string; port: number } {
  const match = nodeForm.exec(text);
  const port = Number(match?.[3] ?? defaultPort);
  if (match === null || port < 1 || port > 65_535) throw new RangeError(form);
  return { host: (match[1] ?? match[2]) as string, port };
}
