import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unstableFile, unstableProgram } from '../debian.ts';
import { baseFiller, usualCall } from '../load/signer.ts';
import { freePort, start } from '../processes.ts';
import { checkedLocation, checker } from './nginx-rules.ts';
import type { Peer, Place } from './peer.ts';
import { versionOf } from './version-of.ts';

const folders = { program: 'usr/sbin/nginx', modules: 'usr/lib/nginx/modules', lua: 'usr/share/lua/5.1' };

/** Loads what the Lua module of Debian needs, the same way its own configuration does. */
const lua = () => `load_module ${unstableFile(folders.modules)}/ndk_http_module.so;
load_module ${unstableFile(folders.modules)}/ngx_http_lua_module.so;
`;

const frame = (
  folder: string,
  port: number,
  app: number,
  top: string,
  http: string,
  location: string,
) => `${top}
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 12000; }
http {
  access_log off;
  client_body_temp_path ${folder}/temp/body;
  proxy_temp_path ${folder}/temp/proxy;
  fastcgi_temp_path ${folder}/temp/fastcgi;
  uwsgi_temp_path ${folder}/temp/uwsgi;
  scgi_temp_path ${folder}/temp/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  tcp_nodelay on;
  upstream app {
    server 127.0.0.1:${app};
    keepalive 256;
    keepalive_requests 1000000000;
  }
${http}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
${location}
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
    }
  }
}
`;

async function startNginx(place: Place, withLua: boolean) {
  const { folder, app, identity } = place;
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  await mkdir(join(folder, 'temp'), { recursive: true });
  await writeFile(
    join(folder, 'checks.lua'),
    checker(identity.key, identity.kid, baseFiller(usualCall, identity)),
    { mode: 0o600 },
  );
  const http = `
  lua_package_path '${folder}/?.lua;${unstableFile(folders.lua)}/?.lua;;';
  lua_shared_dict nonces 512m;
  init_by_lua_block { checks = require 'checks' }
`;
  const conf = withLua
    ? frame(folder, port, app, lua(), http, checkedLocation)
    : frame(folder, port, app, '', '', '');
  await writeFile(file, conf);
  const [command, ...words] = unstableProgram(folders.program);
  const { pid, stop } = await start(command, [...words, '-p', folder, '-e', 'stderr', '-c', file], {
    cores: place.cores,
    port,
    cwd: folder,
  });
  return { port, pids: [pid], stop };
}

const nginx = {
  unstable: true,
  version: () => versionOf(...unstableProgram(folders.program), '-v'),
} as const;

export const nginxLua: Peer = {
  ...nginx,
  id: 'nginx-lua',
  title: 'nginx + Lua, equal work',
  dialect: 'fields',
  checks: true,
  note: 'reads plain fields: it cannot parse RFC 9421',
  start: (place) => startNginx(place, true),
};

export const nginxPlain: Peer = {
  ...nginx,
  id: 'nginx-plain',
  title: 'nginx, no checks',
  dialect: 'plain',
  checks: false,
  start: (place) => startNginx(place, false),
};
