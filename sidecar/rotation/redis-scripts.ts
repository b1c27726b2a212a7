/**
 * What the registry does atomically, as Lua over one key each: keys of different services lie in different slots
 * of a Cluster, so no transaction may span them.
 */

/** ARGV: generation, seconds to live or 0, `absent` or `newer`, then field, value… Returns 1 when it holds that generation now. */
export const putRoot = `
local kid = redis.call('HGET', KEYS[1], 'kid')
local held = kid and tonumber(string.match(kid, '/(%d+)$')) or 0
local mine = tonumber(ARGV[1])
if held == mine then return 1 end
if held > mine or (held > 0 and ARGV[3] == 'absent') then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if ARGV[2] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1`;

/** ARGV: kid. Deletes the root if it is still that one. */
export const dropRoot = `
if redis.call('HGET', KEYS[1], 'kid') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** ARGV: a number known to be used. Returns the next one. */
export const nextNumber = `
local held = tonumber(redis.call('GET', KEYS[1]) or '0')
local next = math.max(held, tonumber(ARGV[1])) + 1
redis.call('SET', KEYS[1], next)
return next`;

/** ARGV: generation, time. */
export const markRevoked = `
local held = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
redis.call('HSET', KEYS[1], 'generation', math.max(held, tonumber(ARGV[1])), 'at', ARGV[2])
return 1`;

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** ARGV: token, name, milliseconds, 1 to take over. Returns who holds it, or nothing when it is ours. */
export const acquireLock = `${clock}
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'holder_name')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now and ARGV[4] ~= '1' then return held[3] end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'holder_name', ARGV[2], 'until', now + ARGV[3])
return ''`;

const asHolder = `if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end`;

/** ARGV: token, milliseconds. */
export const renewLock = `${clock}
${asHolder}
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
return 1`;

/** ARGV: token. */
export const releaseLock = `${asHolder}
redis.call('HDEL', KEYS[1], 'holder', 'holder_name', 'until')
return 1`;

/** ARGV: token, then field, value… */
export const writeAsHolder = `${asHolder}
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1`;

/** ARGV: token, then fields. */
export const removeAsHolder = `${asHolder}
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
return 1`;

/** ARGV: field, value. */
export const setField = `return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`;

/** ARGV: field. */
export const removeField = `return redis.call('HDEL', KEYS[1], ARGV[1])`;
