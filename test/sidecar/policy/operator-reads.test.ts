import t from 'tap';
import { documentRead, operatorPath, type ReadRequest } from '../../../sidecar/policy/operator-reads.ts';
import { fieldId, type KnownField } from '../../../sidecar/terms/field-names.ts';

function request(
  target: string,
  changes: Partial<ReadRequest> & { fields?: Partial<Record<KnownField, string>> } = {},
): ReadRequest {
  const { fields = {}, ...rest } = changes;
  const values = new Map(Object.entries(fields).map(([name, value]) => [fieldId[name as KnownField], value]));
  return {
    method: 'GET',
    originForm: target,
    path: target.split('?', 1)[0] as string,
    hasBody: false,
    upgrade: false,
    known: (id) => values.get(id),
    ...rest,
  };
}

const path = operatorPath('status');

t.test('GET and HEAD of exactly the reserved paths read a document', async (t) => {
  t.equal(documentRead(request(path)), 'status');
  t.equal(documentRead(request(operatorPath('events'), { method: 'HEAD' })), 'events');
  t.equal(documentRead(request(path, { fields: { 'content-type': 'text/plain' } })), 'status');
});

t.test('nothing else does', async (t) => {
  for (const target of [`${path}/`, `${path}?`, `${path}?x`, `/${path}`, path.toUpperCase(), '/status', '*'])
    t.equal(documentRead(request(target)), undefined, target);
  for (const method of ['POST', 'OPTIONS', 'get'])
    t.equal(documentRead(request(path, { method })), undefined, method);
  t.equal(documentRead(request(path, { hasBody: true })), undefined);
  t.equal(documentRead(request(path, { upgrade: true })), undefined);
  for (const field of ['x-http-method-override', 'x-original-url', 'content-digest'] as const)
    t.equal(documentRead(request(path, { fields: { [field]: 'GET' } })), undefined, field);
});
