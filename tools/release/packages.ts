import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { parse } from 'yaml';
import { readAsset } from '../../sidecar/cli/assets.ts';
import { commandTree } from '../../sidecar/cli/command-tree.ts';
import { completionScript } from '../../sidecar/cli/completion.ts';
import { program } from '../../sidecar/cli/program.ts';
import { packagedUnits } from '../../sidecar/new-fleet/host-files.ts';

/** One Debian package. */
export interface DebianPackage {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** Debian packages, beside what every executable needs. */
  readonly depends: readonly string[];
  /** Programs of tools/programs.ts, which go to /usr/lib/countersign. */
  readonly programs: readonly string[];
  /** Texts by their path on the host. */
  readonly files: ReadonlyMap<string, string>;
  /** Links by their path on the host. */
  readonly links: ReadonlyMap<string, string>;
  /** It has the manual pages. */
  readonly manual: boolean;
}

const units = '/usr/lib/systemd/system';

/** The packages of a version: the command line, the sidecar, the core. */
export function debianPackages(version: string): DebianPackage[] {
  return [commandLine(), sidecar(version), core(version)];
}

function commandLine(): DebianPackage {
  const tree = commandTree(program());
  return {
    name: 'countersign',
    summary: 'authentication for the calls between services: the command line',
    description:
      'Makes fleets, keys and rules, reads sidecars, explains refusals, and decides which sidecar serves a host.',
    depends: [],
    programs: ['countersign'],
    files: new Map([
      ['/usr/share/bash-completion/completions/countersign', completionScript('bash', tree)],
      ['/usr/share/zsh/vendor-completions/_countersign', completionScript('zsh', tree)],
      ['/usr/share/fish/vendor_completions.d/countersign.fish', completionScript('fish', tree)],
    ]),
    links: new Map([['/usr/bin/countersign', '../lib/countersign/countersign']]),
    manual: true,
  };
}

function sidecar(version: string): DebianPackage {
  return {
    name: 'countersign-sidecar',
    summary: 'authentication for the calls between services: the sidecar',
    description:
      'Signs and seals the calls of the local service and checks those that come. Two binaries: one reports what the other refuses.',
    depends: [`countersign (= ${version})`, 'systemd', 'iproute2', 'passwd'],
    programs: ['countersign-logging', 'countersign-enforcing'],
    files: new Map([
      ...packagedUnits(readAsset).map(({ name, text }): [string, string] => [
        name === 'alarm' ? '/usr/lib/countersign/alarm' : `${units}/${name}`,
        text,
      ]),
      [
        '/usr/lib/sysusers.d/countersign-sidecar.conf',
        // The key rotator signs in as the first one, with a command that ssh forces.
        'u countersign - "Countersign sidecar" /nonexistent /bin/sh\nu countersign-guard - "Countersign guard" /nonexistent /usr/sbin/nologin\n',
      ],
    ]),
    links: new Map(),
    manual: false,
  };
}

function core(version: string): DebianPackage {
  const role = 'ansible/roles/countersign_core';
  const values = {
    ...(parse(readAsset(`${role}/defaults/main.yml`)) as Record<string, unknown>),
    ansible_managed: 'Of the package countersign-core',
    countersign_core_version: version,
  };
  const unit = `${new Template(readAsset(`${role}/templates/countersign-core.service.j2`)).render(values)}\n`;
  const examples = '/usr/share/doc/countersign-core/examples';
  return {
    name: 'countersign-core',
    summary: 'chat over Redis, conversation files and model-aware context windows',
    description:
      'The core service: chat with an OpenAI-compatible interface, conversation files, transcripts and context windows.',
    depends: ['systemd'],
    programs: ['countersign-core'],
    files: new Map([
      [`${units}/countersign-core.service`, unit],
      [
        '/usr/lib/sysusers.d/countersign-core.conf',
        'u countersign-core - "Countersign core service" /nonexistent /usr/sbin/nologin\n',
      ],
      [`${examples}/core.yaml`, readAsset(join('config/examples/core.yaml'))],
      [`${examples}/llm_models.yaml`, readAsset('config/llm_models.yaml')],
    ]),
    links: new Map(),
    manual: false,
  };
}
