import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { baseFiller, usualCall } from '../load/signer.ts';
import { freePort, start } from '../processes.ts';
import type { Peer, Place } from './peer.ts';
import { versionOf } from './version-of.ts';

const program = '/usr/sbin/nginx';
const modules = '/usr/lib/nginx/modules';

/** Loads what the Lua module of Debian needs, the same way its own configuration does. */
const lua = `load_module ${modules}/ndk_http_module.so;
load_module ${modules}/ngx_http_lua_module.so;
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

/** HMAC by libcrypto, which nginx is linked with, through the FFI of LuaJIT. */
const checker = (key: string, kid: string, filler: string) => `
local ffi = require 'ffi'
ffi.cdef[[
  typedef struct evp_md_st EVP_MD;
  const EVP_MD *EVP_sha256(void);
  unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *d, size_t n,
                      unsigned char *md_out, unsigned int *md_len);
  int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]
local C = ffi.C
local sha256 = C.EVP_sha256()
local out = ffi.new('unsigned char[32]')
local length = ffi.new('unsigned int[1]')
local keys = { ['${kid}'] = ngx.decode_base64('${key}') }
local callers = { ['${kid}'] = 'main-backend' }
local filler = '${filler}'
local byte, find, abs, tonumber = string.byte, string.find, math.abs, tonumber

local rules = {
  ['main-backend'] = {
    GET = function(path) return find(path, '^/api/status/[^/]+$') ~= nil end,
    POST = function(path) return path == '/api/process' end,
  },
}

local public = { ['/api/health'] = 'GET', ['/api/open'] = 'POST' }

local checks = {}
function checks.run()
  local var = ngx.var
  local method = ngx.req.get_method()
  local target = var.request_uri
  local mark = find(target, '?', 1, true)
  local path = mark and target:sub(1, mark - 1) or target
  local query = mark and target:sub(mark + 1) or ''
  if public[path] == method then return end
  local kid, caller, created = var.http_x_key_id, var.http_x_service_id, var.http_x_created
  local nonce, mac, host = var.http_x_nonce, var.http_x_mac, var.http_host
  if not (kid and caller and created and nonce and mac) then return ngx.exit(401) end
  local key = keys[kid]
  if not key or callers[kid] ~= caller or host:lower() ~= 'npu-worker' then return ngx.exit(401) end
  local at = tonumber(created)
  if not at or abs(ngx.time() - at) > 300 then return ngx.exit(401) end
  local base = method .. '|' .. host:lower() .. '|' .. path .. '|' .. query .. '|' .. caller .. '|' .. kid .. '|' ..
    created .. '|' .. nonce .. '|' .. filler
  local given = ngx.decode_base64(mac)
  if not given or #given ~= 32 then return ngx.exit(401) end
  C.HMAC(sha256, key, #key, base, #base, out, length)
  if C.CRYPTO_memcmp(out, given, 32) ~= 0 then return ngx.exit(401) end
  local added, why = ngx.shared.nonces:safe_add(kid .. ' ' .. nonce, true, 301)
  if not added then return ngx.exit(why == 'exists' and 401 or 503) end
  local rule = rules[caller] and rules[caller][method]
  if not rule or not rule(path) then return ngx.exit(403) end
  var.caller = caller
end
return checks
`;

const location = `
      set $caller '';
      access_by_lua_block { checks.run() }
      proxy_set_header X-Key-Id '';
      proxy_set_header X-Created '';
      proxy_set_header X-Nonce '';
      proxy_set_header X-Mac '';
      proxy_set_header X-Service-Content-Length '';
      proxy_set_header X-Service-Denial '';
      proxy_set_header X-Service-Refusal '';
      proxy_set_header X-Service-ID $caller;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-ID $request_id;
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
  lua_package_path '${folder}/?.lua;/usr/share/lua/5.1/?.lua;;';
  lua_shared_dict nonces 512m;
  init_by_lua_block { checks = require 'checks' }
`;
  const conf = withLua ? frame(folder, port, app, lua, http, location) : frame(folder, port, app, '', '', '');
  await writeFile(file, conf);
  const { pid, stop } = await start(program, ['-p', folder, '-c', file], {
    cores: place.cores,
    port,
    cwd: folder,
  });
  return { port, pids: [pid], stop };
}

export const nginxLua: Peer = {
  id: 'nginx-lua',
  title: 'nginx + Lua, equal work',
  dialect: 'fields',
  checks: true,
  note: 'reads plain fields: it cannot parse RFC 9421',
  packages: { nginx: program, 'libnginx-mod-http-lua': `${modules}/ngx_http_lua_module.so` },
  version: () => versionOf(program, ['-v']),
  start: (place) => startNginx(place, true),
};

export const nginxPlain: Peer = {
  id: 'nginx-plain',
  title: 'nginx, no checks',
  dialect: 'plain',
  checks: false,
  packages: { nginx: program },
  version: () => versionOf(program, ['-v']),
  start: (place) => startNginx(place, false),
};
