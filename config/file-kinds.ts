/** The configuration files that people write. */
export type FileKind =
  | 'sidecar.yaml'
  | 'fleet.yaml'
  | 'authorization.yaml'
  | 'core.yaml'
  | 'llm_models.yaml'
  | 'guard.yaml';

/** Keys that only one kind of file has. */
const tellingKeys: Readonly<Record<string, FileKind | 'keyring.json'>> = {
  admin: 'sidecar.yaml',
  authorization: 'sidecar.yaml',
  keyring: 'sidecar.yaml',
  operators: 'fleet.yaml',
  covered_fields: 'fleet.yaml',
  redis: 'core.yaml',
  sqlite: 'core.yaml',
  upload_limit: 'core.yaml',
  token_estimation: 'llm_models.yaml',
  gated: 'guard.yaml',
  bake: 'guard.yaml',
};

/**
 * Which kind of file this is, by what stands in it.
 *
 * @param data the file as plain data
 * @returns undefined when nothing tells
 */
export function recognise(data: unknown): FileKind | 'keyring.json' | undefined {
  if (!isMapping(data)) return undefined;
  if (isMapping(data.services)) {
    const services = Object.values(data.services).filter(isMapping);
    if (services.some((service) => 'hosts' in service)) return 'fleet.yaml';
    if (services.some((service) => 'callers' in service || 'public' in service)) return 'authorization.yaml';
  }
  if (
    'service' in data &&
    'host' in data &&
    ('issue' in data || hasKeys(data.outbound) || hasKeys(data.inbound))
  )
    return 'keyring.json';
  if ('gated' in data) return 'guard.yaml';
  for (const key of Object.keys(data)) if (Object.hasOwn(tellingKeys, key)) return tellingKeys[key];
  return undefined;
}

/** Whether a section holds keys of peers, as those of keyring.json do. */
function hasKeys(section: unknown): boolean {
  return (
    isMapping(section) &&
    Object.values(section).some((peer) => Array.isArray(peer) || (isMapping(peer) && 'kid' in peer))
  );
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
