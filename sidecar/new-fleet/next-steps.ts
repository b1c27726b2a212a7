import type { SidecarPlace } from './host-files.ts';
import { machineOf, portsOf } from './ports.ts';

/** What is left to do after a new fleet, for people. */
export function nextSteps(folder: string, places: readonly SidecarPlace[]): string {
  const hosts = places.map(
    ({ service, host }) =>
      `     rsync -rp '${folder}/hosts/${service}@${host}/' root@${bracketed(host)}:${service}/`,
  );
  return `Next:
  1. Back up the key registry; without it every key has to be made again. With it anyone can speak as any service.
     countersign keys backup --registry 'file:${folder}/registry' --fleet '${folder}/fleet.yaml' --passphrase-file FILE --to BACKUP
  2. Copy each folder to its host, with the executables countersign, countersign-logging and countersign-enforcing:
${hosts.join('\n')}
  3. On each host, as root: ./install.sh FOLDER-OF-EXECUTABLES
     It checks before it changes anything, and starts the logging phase, which refuses nothing.
  4. Have each app send its calls through its sidecar (below), to http://SERVICE/path.
  5. After a day: countersign report says what enforcing would refuse.

${sharedHosts(places)}${appLines(places)}`;
}

/** Says which hosts have a second service; empty when none has. */
export function sharedHosts(places: readonly SidecarPlace[]): string {
  const lines = places.flatMap(({ service, host }, index) => {
    const first = places.slice(0, index).find((other) => machineOf(other.host) === machineOf(host));
    return first === undefined ? [] : [`  ${service} is on the same machine as ${first.service} (${host})\n`];
  });
  if (lines.length === 0) return '';
  return `The systemd units are those of one sidecar a machine, and install.sh refuses a second one. Start it from its folder
yourself, with a keyring and state of its own in sidecar.yaml:
${lines.join('')}
`;
}

/** What to set in each app, with the pitfalls of each language. */
function appLines(places: readonly SidecarPlace[]): string {
  const proxies = places.map(
    ({ service, host, inbound }) =>
      `  ${service} on ${host}: HTTP_PROXY=http://127.0.0.1:${portsOf(inbound).outbound} http_proxy=http://127.0.0.1:${portsOf(inbound).outbound}`,
  );
  return `Set in the environment of each app, and do not set HTTPS_PROXY:
${[...new Set(proxies)].join('\n')}
  Calls of http:// that go elsewhere need NO_PROXY=HOST,HOST.
  Node's fetch     ignores it, unless NODE_USE_ENV_PROXY=1 is set (Node 24 or newer) or undici's EnvHttpProxyAgent is used
  axios            reads it; an instance with its own agent or proxy: false does not
  Python requests  reads it; a Session with trust_env = False does not. httpx is the same; aiohttp needs trust_env=True
  Go               reads it, unless an http.Transport is made without Proxy: http.ProxyFromEnvironment
  Java             ignores it: -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=PORT; java.net.http also needs
                   .proxy(ProxySelector.getDefault())
  .NET             reads it, unless a handler has UseProxy = false or a Proxy of its own
  curl             reads http_proxy in lower case only
  Most of them never use a proxy for localhost and 127.0.0.1: call services by their name.
  What knows no proxy gets a route (outbound.routes in sidecar.yaml: one listener for each callee, also as a ListenStream=
  of countersign-outbound.socket) or a UNIX socket: docs/reference/sidecar.md.
`;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
