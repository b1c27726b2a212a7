import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { withProposals } from '../../../sidecar/matrix-tools/edit.ts';
import type { Proposal } from '../../../sidecar/matrix-tools/suggest.ts';

const proposal = (callee: string, caller: string, rule: string): Proposal => ({
  callee,
  caller,
  rule,
  count: 2,
  last: '2026-11-23T12:00:00.000Z',
  example: '/x',
});

const styles: Record<string, string> = {
  'block lists': `# top
services: # trailing

  npu-worker:    # far
    public: [ GET /api/health ]   # open
    callers:
      # who
      main-backend:
        - GET /a # first
        # - GET /old, switched off
        - "* /b/**"   # quoted

      # nobody else
  # the others
  ai-stack: {}   # nothing yet
# the end
`,
  'flow lists over several lines': `services:
  npu-worker:
    callers:
      main-backend: [ GET /a, "GET,HEAD /b",   # in flow
                      '* /c/**', ]   # end of flow
      frontend: []
  frontend: {  }
`,
  'all in flow': `services: { npu-worker: { callers: { main-backend: [GET /a] } }, frontend: {} } # one line
`,
  'lists that are not indented, wide keys': `services:
    npu-worker:
        callers:
            main-backend:
            - GET /a
            - 'POST /b'
    "frontend":
        public: []`,
  'DOS line ends':
    'services:\r\n  npu-worker:\r\n    callers:\r\n      main-backend:\r\n        - GET /a # x\r\n',
  'long lines': `services:
  npu-worker:
    callers:
      main-backend: [GET /${'a'.repeat(90)}, GET /${'b'.repeat(90)}] # ${'long '.repeat(30)}
`,
};

const proposals = [
  proposal('npu-worker', 'main-backend', 'GET,POST /api/jobs/*'),
  proposal('npu-worker', 'main-backend', '* /any/**'),
  proposal('npu-worker', 'frontend', 'GET /b:'),
  proposal('ai-stack', 'main-backend', 'GET /c'),
  proposal('frontend', 'ai-stack', 'GET /d'),
  proposal('null', 'true', 'GET /e'),
];

interface Plain {
  services: Record<string, { callers?: Record<string, string[]> }>;
}

for (const [style, text] of Object.entries(styles))
  t.test(`${style}: the rules come in, and every byte that was there stays`, async (t) => {
    const source = parseYaml('authorization.yaml', text);
    const after = withProposals(source, proposals);
    const expected = structuredClone(source.data) as Plain;
    for (const { callee, caller, rule } of proposals) {
      expected.services[callee] ??= {};
      const service = expected.services[callee];
      service.callers ??= {};
      service.callers[caller] = [...(service.callers[caller] ?? []), rule];
    }
    t.same(parseYaml('authorization.yaml', after).data, expected);
    // What stood there is what remains when the right bytes are taken out again, but for empty brackets.
    let at = 0;
    for (const char of text.replaceAll(/ (?:\{ *\}|\[\])/g, '')) {
      at = after.indexOf(char, at) + 1;
      if (at === 0) break;
    }
    t.ok(at > 0, after);
    const lines = after.split(/\r?\n/);
    for (const line of text.split(/\r?\n/).filter((each) => !/[[\]{}]/.test(each)))
      t.ok(lines.includes(line), line);
  });

t.test('a comment counts the calls where a comment can stand', async (t) => {
  const after = withProposals(parseYaml('', styles['block lists'] as string), proposals.slice(0, 1));
  t.match(
    after,
    '        - "* /b/**"   # quoted\n        - GET,POST /api/jobs/* # 2 calls, the last 2026-11-23T12:00:00.000Z, such as /x\n',
  );
});

t.test('what is added is indented as the file is', async (t) => {
  const wide = styles['lists that are not indented, wide keys'] as string;
  const after = withProposals(parseYaml('', wide), [proposal('ai-stack', 'frontend', 'GET /x')]);
  t.match(
    after,
    '\n    ai-stack:\n        callers:\n            frontend:\n                - GET /x # 2 calls',
  );
});
