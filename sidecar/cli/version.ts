import { Command } from 'commander';
import { thisBuild } from '../../config/program.ts';

/** `countersign version`: which build this is, in a form that scripts can read. */
export function versionCommand(): Command {
  return new Command('version')
    .description('Show which build this is: version, hash of the build, Node and platform.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  countersign version --json | jq -r .build')
    .action(({ json }: { json?: true }) => {
      const about = {
        ...thisBuild(),
        node: process.versions.node,
        openssl: process.versions.openssl,
        platform: `${process.platform}-${process.arch}`,
      };
      const { version, hash, node, openssl, platform } = about;
      const text = json
        ? JSON.stringify({ version, build: hash, node, openssl, platform }, null, 2)
        : `countersign ${version}, build ${hash}, Node ${node}, OpenSSL ${openssl}, ${platform}`;
      process.stdout.write(`${text}\n`);
    });
}
