/** What nginx is told to do: the same checks and fields as ours, in Lua. */
/** HMAC by libcrypto, which nginx is linked with, through the FFI of LuaJIT. */
export const checker = (key: string, kid: string, filler: string) => `
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

-- Ids from a counter: $request_id draws random bytes and asks for the process id each time.
local count = 0

local checks = {}
function checks.run()
  local var = ngx.var
  count = count + 1
  var.id = 'bench-' .. count
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
    created .. '|' .. nonce .. '|' .. (var.http_content_type or '') .. '|' .. (var.http_content_digest or '') .. '|' .. filler
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

export const checkedLocation = `
      set $caller '';
      set $id '';
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
      proxy_set_header X-Request-ID $id;
`;
