import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { stringify } from 'yaml';
import { readAsset } from '../../../sidecar/cli/assets.ts';
import { fixedFiles, managedBy } from '../../../sidecar/new-fleet/host-files.ts';
import { newPolicy, withWishes } from '../../../sidecar/new-fleet/policy-text.ts';
import { parseServiceWish } from '../../../sidecar/new-fleet/wishes.ts';
import { root } from '../../../tools/build.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const run = promisify(execFile);
const role = join(root, 'ansible/roles/countersign_sidecar');
const found = await run('ansible-playbook', ['--version']).then(
  () => true,
  () => false,
);

t.test(
  'init writes byte for byte what the role of Ansible installs for the same values',
  { skip: !found && 'needs ansible-playbook' },
  async (t) => {
    const folder = await tempFolder(t);
    await mkdir(join(folder, 'out/units'), { recursive: true });
    const policy = withWishes(newPolicy, {
      services: ['orders=10.0.0.2:3000', 'billing=10.0.0.2:5000'].map((text) => parseServiceWish(text)),
      operators: [],
      hosts: [],
      rules: [],
    });
    await writeFile(join(folder, 'fleet.yaml'), policy.fleet);
    const template = (src: string, dest: string) => ({
      'ansible.builtin.template': { src: `${role}/templates/${src}`, dest: `${folder}/out/${dest}` },
    });
    const play = {
      hosts: 'localhost',
      connection: 'local',
      gather_facts: false,
      vars_files: [`${role}/defaults/main.yml`, `${role}/vars/main.yml`],
      // What the inventory says of a host, and preflight.yml reads from the fleet.
      vars: {
        countersign_sidecar_service: 'billing',
        countersign_sidecar_outbound: '127.0.0.1:15101',
        countersign_sidecar_admin: '127.0.0.1:15100',
        _countersign_sidecar_version: '@VERSION@',
        _countersign_sidecar_fleet: `{{ lookup('ansible.builtin.file', '${folder}/fleet.yaml') | from_yaml }}`,
      },
      tasks: [
        template('sidecar.yaml.j2', 'sidecar.yaml'),
        template('alarm.j2', 'alarm'),
        template('guard.yaml.j2', 'guard.yaml'),
        {
          ...template('countersign.socket.j2', 'units/countersign-{{ item.name }}.socket'),
          loop: '{{ _countersign_sidecar_sockets }}',
        },
        {
          ...template('countersign-sidecar@.service.j2', 'units/countersign-{{ item.phase }}@.service'),
          loop: [{ phase: 'logging' }, { phase: 'enforcing' }],
        },
        {
          ...template('{{ item }}.j2', 'units/{{ item }}'),
          loop: [
            'countersign-sockets.service',
            'countersign-alarm@.service',
            'countersign-way-back.service',
            'countersign-way-back.timer',
            'countersign-guard@.service',
            'countersign-guard-rollback.path',
            'countersign-guard-rollback.service',
            'countersign-guard-restart.path',
            'countersign-guard-restart.service',
          ],
        },
      ],
    };
    // The role's variables win over vars_files; as extra variables the test's own do.
    const { vars, ...rest } = play;
    await writeFile(join(folder, 'play.yml'), stringify([rest]));
    await writeFile(join(folder, 'ansible.cfg'), `[defaults]\nansible_managed = ${managedBy}\n`);
    await writeFile(join(folder, 'vars.json'), JSON.stringify(vars));
    await run(
      'ansible-playbook',
      ['-i', 'localhost,', '-e', `@${folder}/vars.json`, join(folder, 'play.yml')],
      {
        env: {
          ...process.env,
          LC_ALL: 'C.UTF-8',
          ANSIBLE_CONFIG: join(folder, 'ansible.cfg'),
          ANSIBLE_LOCALHOST_WARNING: 'false',
        },
      },
    );
    const place = { service: 'billing', host: '10.0.0.2', inbound: 15_106, app: 5000 };
    const files = fixedFiles(place, policy, readAsset).filter(
      ({ name }) => name !== 'install.sh' && name !== 'host.env',
    );
    t.equal(files.length, 17);
    for (const { name, text } of files)
      t.equal(text, await readFile(join(folder, 'out', name), 'utf8'), name);
  },
);
