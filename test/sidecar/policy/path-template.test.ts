import fc from 'fast-check';
import t from 'tap';
import {
  idSegment,
  pathTemplate,
  tokenSegment,
  withoutTokens,
} from '../../../sidecar/policy/path-template.ts';

const ids = [
  '7',
  '42',
  '2026-11-23',
  '172.16.168.22',
  '3f2b8a56-7c1d-4e0b-9f55-0d8d5a3f1c2e',
  '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  'abc123',
  '9f86d081884c7d65',
  'V1StGXR8_Z5jdHi6B-myT',
  'chat-42',
  'sess_01HX3ZK9',
  'cus_NffrFeUfNV2Hib',
  '42-messages',
  '7.json',
  'report-2026.pdf',
  'order12345',
  'my%20chat',
  'someone@example.org',
  'x'.repeat(65),
];
const names = [
  'api',
  'v1',
  'v1.2',
  'oauth2',
  'sha256',
  'base64',
  'ipv6',
  'phi-3-mini-4k-instruct',
  'llama-3.2-3b-instruct',
  'qwen2.5-coder-7b-instruct',
  'research-browser',
  '@vite',
  'index.html',
  'getConversationMessages',
  'models:generate',
  '',
];

t.test('ids fold, names of routes stay', async (t) => {
  for (const id of ids) t.equal(pathTemplate(`/api/${id}/x`), '/api/*/x', id);
  for (const name of names) t.equal(pathTemplate(`/api/${name}/x`), `/api/${name}/x`, name);
});

const secrets = [
  '3f2b8a56-7c1d-4e0b-9f55-0d8d5a3f1c2e',
  '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  'V1StGXR8_Z5jdHi6B-myT',
  'dGhpcyIzYXNlY3JldHRva2Vu',
  'dGhpcyIsYXNlYUJldHRvaVuXZ',
  'qkzjxwvbnmasdfghjklqwrtp',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  'token%3D9f86d081884c7d659a2feaa0c55ad015',
  '9f86d081884c7d65',
];

t.test('segments that may be secrets are folded wherever operators see a path', async (t) => {
  for (const secret of secrets) {
    t.equal(withoutTokens(`/reset/${secret}/confirm`), '/reset/*/confirm', secret);
    t.equal(pathTemplate(`/reset/${secret}/confirm`), '/reset/*/confirm', secret);
    t.equal(
      withoutTokens(`"main-backend: GET /reset/x" (expects /reset/x, received GET /reset/${secret})`),
      '"main-backend: GET /reset/x" (expects /reset/x, received GET /reset/*)',
      secret,
    );
  }
  for (const name of [
    ...names,
    '7',
    '42',
    '2026-11-23',
    '2026-11-23-12-00-00',
    'chat-42',
    'abc123',
    '%2e%2e%2fetc%2fpasswd',
  ])
    t.equal(withoutTokens(`/api/${name}/x`), `/api/${name}/x`, name);
  for (const name of [
    'getUserAccountSettingsByOrganizationName',
    'conversation-files',
    'research-browser-sessions',
  ])
    t.notOk(tokenSegment(name), name);
});

t.test('slashes and the asterisk form are kept as they are', async (t) => {
  for (const path of ['/', '//', '/api/', '/api//x', '*', '']) t.equal(pathTemplate(path), path);
});

t.test('attack: a caller cannot have ** suggested by calling it', async (t) => {
  t.equal(pathTemplate('/**'), '/*');
  t.equal(pathTemplate('/api/***/x'), '/api/*/x');
});

t.test('a template is bounded, and folding it again changes nothing', async (t) => {
  const path = fc
    .array(fc.oneof(fc.constantFrom(...ids, ...names), fc.stringMatching(/^[!-.0-~]{0,80}$/)), {
      maxLength: 60,
    })
    .map((segments) => `/${segments.join('/')}`);
  fc.assert(
    fc.property(path, (path) => {
      const template = pathTemplate(path);
      t.ok(template.length <= 24 * 65 + 1);
      const deep = template.endsWith('…');
      const segments = (deep ? template.slice(0, -1) : template).split('/');
      t.ok(segments.every((segment) => !idSegment(segment)));
      t.equal(pathTemplate(template), template);
      if (!deep) t.equal(segments.length, path.split('/').length);
    }),
    { numRuns: 300 },
  );
});
