/** The files of a sidecar by name; every test starts from `goodFiles` and changes what it is about. */
export type Files = Readonly<Record<string, string>>;

export interface Ports {
  readonly outbound: number;
  readonly inbound: number;
  readonly admin: number;
  readonly app: number;
  readonly route: number;
}

export const fixedPorts: Ports = { outbound: 15001, inbound: 15006, admin: 15000, app: 8081, route: 18001 };

/** Files that are right and belong together: npu-worker on loopback. */
export function goodFiles({ outbound, inbound, admin, app, route }: Ports): Files {
  return {
    'sidecar.yaml': `service: npu-worker
outbound: { listen: 127.0.0.1:${outbound}, routes: { 127.0.0.1:${route}: main-backend } }
inbound: { listen: 127.0.0.1:${inbound}, app: 127.0.0.1:${app} }
admin: { listen: 127.0.0.1:${admin} }
fleet: fleet.yaml
authorization: authorization.yaml
keyring: keyring.json
state: state
`,
    'fleet.yaml': `services:
  main-backend: { hosts: [127.0.0.2], inbound: 15006, app: 8001 }
  npu-worker: { hosts: [127.0.0.1], inbound: ${inbound}, app: ${app} }
  control: { hosts: [127.0.0.3] }
`,
    'authorization.yaml': `services:
  npu-worker:
    public: [ GET /api/health ]
    callers:
      main-backend: [ POST /api/process ]
`,
    'keyring.json': JSON.stringify({ service: 'npu-worker', host: '127.0.0.1', outbound: {}, inbound: {} }),
  };
}

/** A change of one file, and what is said of it; the expression matches the whole of stderr. */
export interface WrongFile {
  readonly title: string;
  readonly file: string;
  /** A text to replace, or undefined to replace all of it. */
  readonly from?: string | RegExp;
  /** Undefined: the file is missing. */
  readonly to: string | undefined;
  readonly says: RegExp;
}

const sidecar = (title: string, from: string | RegExp, to: string, says: RegExp): WrongFile => ({
  title,
  file: 'sidecar.yaml',
  from,
  to,
  says,
});
const more = (title: string, line: string, says: RegExp) => sidecar(title, /$/, `${line}\n`, says);
const fleet = (title: string, from: string | RegExp, to: string, says: RegExp): WrongFile => ({
  title,
  file: 'fleet.yaml',
  from,
  to,
  says,
});
const rules = (title: string, from: string | RegExp, to: string, says: RegExp): WrongFile => ({
  title,
  file: 'authorization.yaml',
  from,
  to,
  says,
});

const listen = /listen: 127\.0\.0\.1:\d+, routes/;
const route = /routes: \{ [^ ]*: main-backend/;

/** What is wrong with one of the files of a sidecar: `check` and the start say the same of each. */
export const wrongFiles: readonly WrongFile[] = [
  sidecar(
    'a route to an unknown service',
    ': main-backend }',
    ': main-backed }',
    /sidecar\.yaml:2:\d+: outbound\.routes\.\S+: found the service "main-backed", expected main-backend: one of/,
  ),
  sidecar(
    'a route to a service that only calls',
    ': main-backend }',
    ': control }',
    /routes\.\S+: found the service "control", expected one of fleet\.yaml: main-backend, npu-worker$/m,
  ),
  sidecar(
    'a route port of 99999',
    route,
    'routes: { 127.0.0.1:99999: main-backend',
    /2:\d+: .*the key "127\.0\.0\.1:99999", expected a loopback address/,
  ),
  sidecar(
    'a route host of five numbers',
    route,
    'routes: { 127.0.0.1.5:18001: main-backend',
    /the key "127\.0\.0\.1\.5:18001", expected a loopback/,
  ),
  sidecar(
    'a route beyond loopback',
    route,
    'routes: { 0.0.0.0:18001: main-backend',
    /the key "0\.0\.0\.0:18001", expected a loopback/,
  ),
  sidecar(
    "a route on outbound's own address",
    /127\.0\.0\.1:\d+: main/,
    '127.0.0.1:15001: main',
    /outbound\.routes\.127\.0\.0\.1:15001: found "main-backend", expected an address of its own: outbound\.listen is the same/,
  ),
  sidecar(
    'outbound on every address',
    listen,
    'listen: 0.0.0.0:15001, routes',
    /2:21: outbound\.listen: found "0\.0\.0\.0:15001", expected a loopback address/,
  ),
  sidecar(
    'outbound on a network address',
    listen,
    'listen: 192.0.2.1:15001, routes',
    /outbound\.listen: found "192\.0\.2\.1:15001", expected a loopback/,
  ),
  sidecar(
    'admin on every address',
    /admin: .*/,
    'admin: { listen: "[::]:15000" }',
    /4:18: admin\.listen: found "\[::\]:15000", expected a loopback/,
  ),
  sidecar(
    'admin on a name',
    /admin: .*/,
    'admin: { listen: admin.example:15000 }',
    /admin\.listen: found .*expected a loopback/,
  ),
  sidecar(
    'an address that is none',
    /admin: .*/,
    'admin: { listen: 127.999.999.999:15000 }',
    /admin\.listen: found .*expected a loopback/,
  ),
  sidecar(
    'a port that is none',
    /admin: .*/,
    'admin: { listen: 127.0.0.1:0 }',
    /admin\.listen: found .*expected a loopback/,
  ),
  sidecar(
    'inbound on a name',
    /inbound: .*/,
    'inbound: { listen: localhost.example:15006, app: 127.0.0.1:8081 }',
    /inbound\.listen: found .*expected an IP address and port/,
  ),
  sidecar(
    'an abstract UNIX socket',
    listen,
    'listen: unix:@countersign, routes',
    /outbound\.listen: found "unix:@countersign", expected .*no abstract name/,
  ),
  sidecar(
    'a UNIX socket without a path',
    listen,
    'listen: "unix:", routes',
    /outbound\.listen: found "unix:", expected/,
  ),
  sidecar(
    'a UNIX socket with too long a path',
    listen,
    `listen: unix:/${'x'.repeat(107)}, routes`,
    /outbound\.listen: found .*at most 107 bytes/,
  ),
  sidecar(
    'a UNIX socket whose folder makes it too long',
    listen,
    `listen: unix:${'x'.repeat(100)}, routes`,
    /outbound\.listen: found unix:\/.*at most 107 bytes/,
  ),
  sidecar(
    'threads that share a UNIX socket',
    /listen: 127.*\n/,
    'listen: unix:out.sock }\nworkers: 2\n',
    /3:10: workers: found 2, expected 1, because threads cannot share a UNIX socket/,
  ),
  sidecar(
    'a group without a UNIX socket',
    'outbound: {',
    'outbound: { group: daemon,',
    /2:20: outbound\.group: found "daemon", expected no group without a UNIX socket/,
  ),
  sidecar(
    'a group that nobody knows',
    /admin: .*/,
    'admin: { listen: unix:admin.sock, group: no-such-group }',
    /admin\.group: found the group "no-such-group", expected a group of \/etc\/group/,
  ),
  sidecar(
    'the same port twice',
    /admin: .*/,
    'admin: { listen: 127.0.0.1:15001 }',
    /4:18: admin\.listen: found "127\.0\.0\.1:15001", expected an address of its own: outbound\.listen is the same/,
  ),
  sidecar(
    'one port, once for all addresses',
    /inbound: \{ listen: 127\.0\.0\.1:\d+/,
    'inbound: { listen: 0.0.0.0:15001',
    /inbound\.listen: found .*expected an address of its own: outbound\.listen is the same/,
  ),
  sidecar(
    'the app being the sidecar itself',
    /app: .* \}/,
    'app: 127.0.0.1:15006 }',
    /inbound\.app: found "127\.0\.0\.1:15006", expected the app, not the sidecar's own inbound\.listen/,
  ),
  sidecar(
    'the app being outbound',
    /app: .* \}/,
    'app: localhost:15001 }',
    /inbound\.app: found .*not the sidecar's own outbound\.listen/,
  ),
  sidecar(
    "an inbound port that is not fleet.yaml's",
    /inbound: \{ listen: 127\.0\.0\.1:\d+/,
    'inbound: { listen: 127.0.0.1:15007',
    /3:20: inbound\.listen: found port 15007, expected 15006, as in fleet\.yaml/,
  ),
  sidecar(
    "an app port that is not fleet.yaml's",
    /app: .* \}/,
    'app: 127.0.0.1:8082 }',
    /inbound\.app: found port 8082, expected 8081, as in fleet\.yaml/,
  ),
  sidecar(
    'no inbound section',
    /inbound: .*\n/,
    '',
    /sidecar\.yaml:1:10: service: found no inbound section, expected one for port 15006/,
  ),
  sidecar(
    'an unknown service',
    'service: npu-worker',
    'service: npu-workers',
    /^\S*sidecar\.yaml:1:10: service: found the service "npu-workers", expected npu-worker: one of fleet\.yaml: main-backend, npu-worker, control\n\S*keyring\.json: service: found a keyring of npu-worker, expected the keyring of npu-workers\n$/,
  ),
  sidecar(
    'a service that is no name',
    'service: npu-worker',
    'service: NPU',
    /1:10: service: found "NPU", expected a service name/,
  ),
  more('a bare number for a size', 'limits: { head: 16 }', /9:17: limits\.head: found 16, expected a size/),
  more(
    'a space before the unit',
    'limits: { head: 16 KiB }',
    /9:17: limits\.head: found "16 KiB", expected a size/,
  ),
  more(
    'too small a head',
    'limits: { head: 1B }',
    /limits\.head: found "1B", expected a size from 1KiB to 128KiB/,
  ),
  more(
    'an unknown limit',
    'limits: { heads: 16KiB }',
    /9:11: limits\.heads: found an unknown key "heads", expected head: one of head, headers, body_buffer, connections, unproven_connections, per_address$/m,
  ),
  more(
    'too few connections',
    'limits: { connections: 0 }',
    /limits\.connections: found 0, expected a whole number of connections from 1 to 1000000/,
  ),
  more(
    'half a connection',
    'limits: { connections: 1.5 }',
    /limits\.connections: found 1\.5, expected a whole number/,
  ),
  more(
    'more unproven connections than connections',
    'limits: { connections: 10, unproven_connections: 11 }',
    /limits\.unproven_connections: found 11, expected at most connections, which is 10/,
  ),
  more(
    'more for one address than for all',
    'limits: { unproven_connections: 5, per_address: 6 }',
    /limits\.per_address: found 6, expected at most unproven_connections, which is 5/,
  ),
  more(
    'a drain that cuts answers short',
    'timeouts: { response: 10m }',
    /9:\d+: timeouts\.drain: found nothing, expected a drain of at least timeouts\.response/,
  ),
  more(
    'a time of nothing',
    'timeouts: { idle: 0s }',
    /timeouts\.idle: found "0s", expected a duration from 1ms to 576h/,
  ),
  more(
    'a time past what timers hold',
    'timeouts: { idle: 600h }',
    /timeouts\.idle: found "600h", expected a duration from 1ms to 576h/,
  ),
  more('a list where a mapping stands', 'timeouts: [ 1s ]', /timeouts: found \["1s"\], expected a mapping/),
  more('no threads', 'workers: 0', /9:10: workers: found 0, expected a whole number of threads from 1 to 64/),
  more(
    'a switch',
    'enforcement: off',
    /9:1: enforcement: found an unknown key "enforcement", expected one of service, outbound, inbound, admin, fleet, authorization, keyring, state, workers, limits, timeouts, telemetry$/m,
  ),
  more('a key twice', 'service: again', /9:1: found a key that stands there already, expected each key once/),
  more('an open brace', '{', /\d+:\d+: found .*, expected /),
  more('a second document', '---\nservice: other', /found several documents, expected one document/),
  more(
    'an alias',
    'limits: &l { head: 16KiB }\ntimeouts: *l',
    /10:11: found the alias \*l, expected the value itself/,
  ),
  more('an unknown tag', 'limits: !secret {}', /found an unknown tag, expected the value without a tag/),
  more('a tab', 'limits:\n\thead: 16KiB', /found a tab as indentation, expected spaces/),
  more('control characters', '"\\e[31mred": 1', /\\u001b\[31mred/),
  sidecar(
    'a missing section',
    /admin: .*\n/,
    '',
    /sidecar\.yaml:1:1: admin: found nothing, expected a mapping/,
  ),
  sidecar(
    'a section without its keys',
    /admin: .*/,
    'admin: {}',
    /4:8: admin\.listen: found nothing, expected a loopback/,
  ),
  {
    title: 'an empty sidecar.yaml',
    file: 'sidecar.yaml',
    to: '',
    says: /^\S*sidecar\.yaml: found an empty file, expected sidecar\.yaml with service, outbound, .*\n$/,
  },
  {
    title: 'a missing sidecar.yaml',
    file: 'sidecar.yaml',
    to: undefined,
    says: /^\S*sidecar\.yaml: found no such file, expected a readable file\n$/,
  },
  {
    title: 'a list',
    file: 'sidecar.yaml',
    to: '[ 1 ]\n',
    says: /^\S*sidecar\.yaml:1:1: found \[1\], expected a mapping\n$/,
  },
  {
    title: 'fleet.yaml in the place of sidecar.yaml',
    file: 'sidecar.yaml',
    to: 'services: { a: { hosts: [127.0.0.1] } }\n',
    says: /^\S*sidecar\.yaml: found what looks like fleet\.yaml, expected sidecar\.yaml\n$/,
  },
  {
    title: 'authorization.yaml in the place of fleet.yaml',
    file: 'fleet.yaml',
    to: 'services: { npu-worker: { public: [ GET /x ] } }\n',
    says: /^\S*fleet\.yaml: found what looks like authorization\.yaml, expected fleet\.yaml\n$/,
  },
  {
    title: 'guard.yaml in the place of authorization.yaml',
    file: 'authorization.yaml',
    to: 'gated: gate.json\n',
    says: /^\S*authorization\.yaml: found what looks like guard\.yaml, expected authorization\.yaml\n$/,
  },
  {
    title: 'a keyring in the place of sidecar.yaml',
    file: 'sidecar.yaml',
    to: '{ service: a, host: 127.0.0.1, outbound: {}, inbound: { b: [] } }\n',
    says: /found what looks like keyring\.json, expected sidecar\.yaml/,
  },
  {
    title: 'an empty fleet.yaml',
    file: 'fleet.yaml',
    to: '# nothing\n',
    says: /^\S*fleet\.yaml: found an empty file, expected fleet\.yaml with services, covered_fields, operators\n$/,
  },
  {
    title: 'a missing fleet.yaml',
    file: 'fleet.yaml',
    to: undefined,
    says: /^\S*fleet\.yaml: found no such file, expected a readable file\n$/,
  },
  fleet(
    'no hosts',
    '[127.0.0.2]',
    '[]',
    /fleet\.yaml:2:26: services\.main-backend\.hosts: found \[\], expected a list of at least one host/,
  ),
  fleet(
    'a host that is none',
    '[127.0.0.2]',
    '[nowhere]',
    /2:27: services\.main-backend\.hosts\.0: found "nowhere", expected an IP address/,
  ),
  fleet('a host twice', '[127.0.0.2]', '[127.0.0.2, 127.0.0.2]', /hosts: found .*, expected each host once/),
  fleet(
    'a port past the last',
    'inbound: 15006, app: 8001',
    'inbound: 70000, app: 8001',
    /services\.main-backend\.inbound: found 70000, expected a port from 1 to 65535/,
  ),
  fleet(
    'two services on one host and port',
    '[127.0.0.2], inbound: 15006, app: 8001',
    '[127.0.0.1], inbound: 15009, app: 8081',
    /services\.npu-worker\.app: found 8081, expected a port of its own: main-backend has 8081 on 127\.0\.0\.1/,
  ),
  fleet(
    'one port for the sidecar and the app',
    'app: 8001',
    'app: 15006',
    /services\.main-backend\.app: found 15006, expected a port of its own: inbound has 15006 on 127\.0\.0\.2/,
  ),
  fleet(
    'an app without an inbound port',
    'inbound: 15006, app: 8001',
    'app: 8001',
    /services\.main-backend\.inbound: found nothing, expected a port: a service has both/,
  ),
  fleet(
    'an inbound port without an app',
    ', app: 8001',
    '',
    /services\.main-backend\.app: found nothing, expected a port: a service has both/,
  ),
  fleet(
    'a service that only calls, with an inbound section',
    /npu-worker: .*/,
    'npu-worker: { hosts: [127.0.0.1] }',
    /sidecar\.yaml:3:10: inbound: found an inbound section, expected none: npu-worker has no inbound port/,
  ),
  fleet(
    'an operator that nobody knows',
    /$/,
    'operators: [controll]\n',
    /5:13: operators\.0: found "controll", expected one of main-backend, npu-worker, control/,
  ),
  fleet(
    'an operator twice',
    /$/,
    'operators: [control, control]\n',
    /operators\.1: found "control", expected each service once/,
  ),
  fleet(
    'a covered field in capitals',
    /$/,
    'covered_fields: [X-User-ID]\n',
    /covered_fields\.0: found "X-User-ID", expected a field name in lower case/,
  ),
  fleet(
    'a covered field that a sidecar writes',
    /$/,
    'covered_fields: [x-service-id]\n',
    /covered_fields\.0: found "x-service-id", expected a field that the sidecars pass on/,
  ),
  fleet(
    'a covered field twice',
    /$/,
    'covered_fields: [a, a]\n',
    /covered_fields: found \["a","a"\], expected each field once/,
  ),
  fleet(
    'an unknown key of a service',
    'hosts: [127.0.0.2]',
    'host: 127.0.0.2',
    /services\.main-backend\.host: found an unknown key "host", expected hosts: one of hosts, inbound, app/,
  ),
  rules(
    'an unknown caller',
    'main-backend:',
    'main-backed:',
    /authorization\.yaml:5:7: services\.npu-worker\.callers\.main-backed: found the unknown service "main-backed", expected main-backend: one that fleet\.yaml names/,
  ),
  rules(
    'rules of a service that nothing calls',
    /$/,
    '  control: { public: [ GET /x ] }\n',
    /services\.control: found rules for control, expected none: in fleet\.yaml it has no inbound port/,
  ),
  rules(
    'a rule that is none',
    'POST /api/process',
    'POST',
    /callers\.main-backend\.0: found "POST", expected METHOD/,
  ),
  rules(
    'a rule twice',
    '[ GET /api/health ]',
    '[ GET /x, GET /x ]',
    /which repeats "GET \/x" \(line 3\), expected each permission once/,
  ),
  rules(
    'a section that is none',
    'public:',
    'publik:',
    /unknown key "publik", expected public: one of public, callers/,
  ),
  {
    title: 'an empty authorization.yaml',
    file: 'authorization.yaml',
    to: '',
    says: /found an empty file, expected authorization\.yaml with services/,
  },
  {
    title: 'an empty keyring',
    file: 'keyring.json',
    to: '',
    says: /keyring\.json: found an empty file, expected keyring\.json/,
  },
  {
    title: 'a keyring that is no JSON',
    file: 'keyring.json',
    to: '{',
    says: /keyring\.json: found no valid JSON/,
  },
  {
    title: 'a missing keyring',
    file: 'keyring.json',
    to: undefined,
    says: /keyring\.json: found no such file, expected a readable file/,
  },
  {
    title: 'a keyring of another service',
    file: 'keyring.json',
    from: 'npu-worker',
    to: 'main-backend',
    says: /^\S*keyring\.json: service: found a keyring of main-backend, expected the keyring of npu-worker\n$/,
  },
  {
    title: 'a keyring of another host',
    file: 'keyring.json',
    from: '127.0.0.1',
    to: '127.0.0.9',
    says: /^\S*keyring\.json: host: found a keyring for host 127\.0\.0\.9, expected one of npu-worker's hosts: 127\.0\.0\.1\n$/,
  },
  {
    title: 'a file as the state folder',
    file: 'state',
    to: 'no folder',
    says: /state: found something that is no folder, expected the state folder/,
  },
];

/** Changes that are right, so that the sidecar has to start. */
export const rightFiles: readonly Omit<WrongFile, 'says'>[] = [
  { title: 'nothing changed', file: 'sidecar.yaml', from: /$/, to: '' },
  {
    title: 'every limit',
    file: 'sidecar.yaml',
    from: /$/,
    to: 'limits: { head: 1KiB, headers: 1, body_buffer: 0B, connections: 1, unproven_connections: 1, per_address: 1 }\n',
  },
  {
    title: 'the largest limits',
    file: 'sidecar.yaml',
    from: /$/,
    to: 'limits: { head: 128KiB, headers: 1000, body_buffer: 1GiB, connections: 1000000 }\n',
  },
  {
    title: 'every timeout',
    file: 'sidecar.yaml',
    from: /$/,
    to: 'timeouts: { head: 1ms, idle: 1ms, connect: 1ms, response: 1ms, tunnel_idle: 1ms, drain: 1ms }\n',
  },
  {
    title: 'the longest timeouts',
    file: 'sidecar.yaml',
    from: /$/,
    to: 'timeouts: { head: 576h, idle: 576h, connect: 576h, response: 576h, tunnel_idle: 576h, drain: 576h }\n',
  },
  { title: 'several threads', file: 'sidecar.yaml', from: /$/, to: 'workers: 2\n' },
  {
    title: 'UNIX sockets',
    file: 'sidecar.yaml',
    from: /outbound: .*\n/,
    to: 'outbound: { listen: unix:out.sock, routes: { unix:route.sock: main-backend } }\n',
  },
  {
    title: 'an admin listener on a UNIX socket',
    file: 'sidecar.yaml',
    from: /admin: .*\n/,
    to: 'admin: { listen: unix:admin.sock }\n',
  },
  {
    title: 'operators and covered fields',
    file: 'fleet.yaml',
    from: /$/,
    to: 'operators: [control]\ncovered_fields: [x-user-id]\n',
  },
  { title: 'no rules', file: 'authorization.yaml', to: 'services: {}\n' },
];

/** The files with one change. */
export function changed(files: Files, { file, from, to }: Omit<WrongFile, 'says'>): Files {
  const { [file]: before = '', ...others } = files;
  if (to === undefined) return others;
  return { ...others, [file]: from === undefined ? to : before.replace(from, to) };
}
