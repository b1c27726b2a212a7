import { createHmac, createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { coverageOf } from '../../../sidecar/signature/components.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import { serializeParams } from '../../../sidecar/signature/serialize.ts';
import { signatureBase } from '../../../sidecar/signature/signature-base.ts';
import { parseDictionary } from '../../../sidecar/signature/structured-fields.ts';
import { type PlainRequest, plainRequest } from '../../support/plain-request.ts';

/** The signature base that a Signature-Input field of one member stands for. */
function baseOf(request: PlainRequest, signatureInput: string): string {
  const [member] = parseDictionary(signatureInput).values();
  if (member?.items === undefined) throw new Error('no inner list');
  const coverage = coverageOf(member.items);
  return signatureBase(coverage, coverage.text + serializeParams(member.params), plainRequest(request));
}

const lines = (request: PlainRequest, components: string) =>
  baseOf(request, `sig=(${components})`).split('\n').slice(0, -1);

/** RFC 9421 appendix B.2, `test-request`. */
const testRequest: PlainRequest = {
  method: 'POST',
  scheme: 'https',
  authority: 'example.com',
  target: '/foo?param=Value&Pet=dog',
  fields: [
    ['host', 'example.com'],
    ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
    ['content-type', 'application/json'],
    [
      'content-digest',
      'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
    ],
    ['content-length', '18'],
  ],
};
const contentDigestLine = `"content-digest": ${testRequest.fields?.[3]?.[1]}`;

const clientCert =
  ':MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:';

const rsaPss = createPublicKey(`-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----`);
const p256 = createPublicKey(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----`);
const ed25519 = createPublicKey(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----`);
const sharedSecret = Buffer.from(
  'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
  'base64',
);

const schemes = {
  'rsa-pss-sha512': (base: Buffer, signature: Buffer) =>
    verify('sha512', base, { key: rsaPss, padding: 6, saltLength: 64 }, signature),
  'ecdsa-p256-sha256': (base: Buffer, signature: Buffer) =>
    verify('sha256', base, { key: p256, dsaEncoding: 'ieee-p1363' }, signature),
  ed25519: (base: Buffer, signature: Buffer) => verify(null, base, ed25519, signature),
  'hmac-sha256': (base: Buffer, signature: Buffer) =>
    createHmac('sha256', sharedSecret).update(base).digest().equals(signature),
};

interface Example {
  readonly section: string;
  readonly algorithm: keyof typeof schemes;
  readonly request: PlainRequest;
  readonly signatureInput: string;
  readonly base: readonly string[];
  readonly signature: string;
}

/** The requests of appendix B; B.2.4 signs a response. */
const examples: readonly Example[] = [
  {
    section: 'B.2.1',
    algorithm: 'rsa-pss-sha512',
    request: testRequest,
    signatureInput: 'sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    base: [],
    signature:
      'd2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==',
  },
  {
    section: 'B.2.2',
    algorithm: 'rsa-pss-sha512',
    request: testRequest,
    signatureInput:
      'sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
    base: ['"@authority": example.com', contentDigestLine, '"@query-param";name="Pet": dog'],
    signature:
      'LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==',
  },
  {
    section: 'B.2.3',
    algorithm: 'rsa-pss-sha512',
    request: testRequest,
    signatureInput:
      'sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
    base: [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@method": POST',
      '"@path": /foo',
      '"@query": ?param=Value&Pet=dog',
      '"@authority": example.com',
      '"content-type": application/json',
      contentDigestLine,
      '"content-length": 18',
    ],
    signature:
      'bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==',
  },
  {
    section: 'B.2.5',
    algorithm: 'hmac-sha256',
    request: testRequest,
    signatureInput:
      'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    base: [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@authority": example.com',
      '"content-type": application/json',
    ],
    signature: 'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  },
  {
    section: 'B.2.6',
    algorithm: 'ed25519',
    request: testRequest,
    signatureInput:
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    base: [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@method": POST',
      '"@path": /foo',
      '"@authority": example.com',
      '"content-type": application/json',
      '"content-length": 18',
    ],
    signature: 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
  },
  {
    section: 'B.3',
    algorithm: 'ecdsa-p256-sha256',
    request: {
      ...testRequest,
      authority: 'service.internal.example',
      fields: [...(testRequest.fields?.slice(1, 3) ?? []), ['client-cert', clientCert]],
    },
    signatureInput:
      'ttrp=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"',
    base: [
      '"@path": /foo',
      '"@query": ?param=Value&Pet=dog',
      '"@method": POST',
      '"@authority": service.internal.example',
      `"client-cert": ${clientCert}`,
    ],
    signature: 'xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==',
  },
  {
    section: 'B.4',
    algorithm: 'ed25519',
    request: {
      method: 'GET',
      authority: 'example.org',
      target: '/demo?name1=Value1&Name2=value2',
      fields: [
        ['accept', 'application/json'],
        ['accept', '*/*'],
      ],
    },
    signatureInput:
      'transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"',
    base: [
      '"@method": GET',
      '"@path": /demo',
      '"@authority": example.org',
      '"accept": application/json, */*',
    ],
    signature: 'ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==',
  },
];

t.test('makes the signature bases of appendix B, to which the published signatures belong', async (t) => {
  for (const { section, algorithm, request, signatureInput, base, signature } of examples) {
    const made = baseOf(request, signatureInput);
    const params = signatureInput.slice(signatureInput.indexOf('=') + 1);
    t.equal(made, [...base, `"@signature-params": ${params}`].join('\n'), section);
    const holds = schemes[algorithm];
    t.ok(holds(Buffer.from(made, 'latin1'), Buffer.from(signature, 'base64')), `${section}: ${algorithm}`);
  }
});

t.test('makes the hmac-sha256 signature of B.2.5 byte for byte', async (t) => {
  const example = examples.find(({ section }) => section === 'B.2.5') as Example;
  t.equal(
    new PairKey(sharedSecret).macBase64(baseOf(example.request, example.signatureInput)),
    example.signature,
  );
});

t.test('combines the lines of a field (section 2.1)', async (t) => {
  const request: PlainRequest = {
    fields: [
      ['host', 'www.example.com'],
      ['date', 'Tue, 20 Apr 2021 02:07:56 GMT'],
      ['x-ows-header', 'Leading and trailing whitespace.'],
      ['cache-control', 'max-age=60'],
      ['cache-control', 'must-revalidate'],
      ['example-dict', 'a=1,    b=2;x=1;y=2,   c=(a   b   c)'],
      ['x-empty-header', ''],
    ],
  };
  t.same(lines(request, '"host" "date" "x-ows-header" "cache-control" "example-dict" "x-empty-header"'), [
    '"host": www.example.com',
    '"date": Tue, 20 Apr 2021 02:07:56 GMT',
    '"x-ows-header": Leading and trailing whitespace.',
    '"cache-control": max-age=60, must-revalidate',
    '"example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)',
    '"x-empty-header": ',
  ]);
});

t.test(
  'serialises structured fields anew (section 2.1.1) and takes members out of them (2.1.2)',
  async (t) => {
    const request: PlainRequest = {
      fields: [
        ['example-dict', ' a=1,    b=2;x=1;y=2,   c=(a   b    c), d'],
        ['example-list', '1.50,   (a  b);q=?1,  "x"'],
        ['not-structured', 'Tue, 20 Apr 2021 02:07:55 GMT'],
      ],
    };
    t.same(lines(request, '"example-dict";sf "example-list";sf'), [
      '"example-dict";sf: a=1, b=2;x=1;y=2, c=(a b c), d',
      '"example-list";sf: 1.5, (a b);q, "x"',
    ]);
    t.same(
      lines(
        request,
        '"example-dict";key="a" "example-dict";key="d" "example-dict";key="b" "example-dict";key="c"',
      ),
      [
        '"example-dict";key="a": 1',
        '"example-dict";key="d": ?1',
        '"example-dict";key="b": 2;x=1;y=2',
        '"example-dict";key="c": (a b c)',
      ],
    );
    t.throws(() => lines(request, '"not-structured";sf'), { code: 'component-missing' });
    t.throws(() => lines(request, '"example-dict";key="e"'), { code: 'component-missing' });
    t.throws(() => lines(request, '"not-structured";key="a"'), { code: 'component-missing' });
  },
);

t.test('wraps the lines of a field as bytes (section 2.1.3)', async (t) => {
  const two: PlainRequest = {
    fields: [
      ['example-header', 'value, with, lots'],
      ['example-header', 'of, commas'],
    ],
  };
  const one: PlainRequest = { fields: [['example-header', 'value, with, lots, of, commas']] };
  t.same(lines(two, '"example-header";bs'), [
    '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:',
  ]);
  t.same(lines(one, '"example-header";bs'), [
    '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:',
  ]);
});

t.test('reads trailer fields (section 2.1.4)', async (t) => {
  const request: PlainRequest = {
    fields: [['expires', 'from the head']],
    trailers: { expires: 'Wed, 9 Nov 2022 07:28:00 GMT', dict: 'a=1,  b' },
  };
  t.same(lines(request, '"expires" "expires";tr "dict";tr;sf "dict";key="b";tr "dict";bs;tr'), [
    '"expires": from the head',
    '"expires";tr: Wed, 9 Nov 2022 07:28:00 GMT',
    '"dict";tr;sf: a=1, b',
    '"dict";key="b";tr: ?1',
    '"dict";bs;tr: :YT0xLCAgYg==:',
  ]);
  t.throws(() => lines({ fields: [['expires', 'x']] }, '"expires";tr'), { code: 'component-missing' });
});

t.test('derives every component of a request (section 2.2)', async (t) => {
  const request: PlainRequest = {
    method: 'POST',
    scheme: 'https',
    authority: 'www.example.com',
    target: '/path?param=value&foo=bar&baz=bat%2Dman',
  };
  t.same(
    lines(request, '"@method" "@target-uri" "@authority" "@scheme" "@request-target" "@path" "@query"'),
    [
      '"@method": POST',
      '"@target-uri": https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman',
      '"@authority": www.example.com',
      '"@scheme": https',
      '"@request-target": /path?param=value&foo=bar&baz=bat%2Dman',
      '"@path": /path',
      '"@query": ?param=value&foo=bar&baz=bat%2Dman',
    ],
  );
  const bare = { ...plainRequest({ target: '' }), path: '/', target: '*', authority: 'a', scheme: 'http' };
  const [member] = parseDictionary('sig=("@path" "@query" "@target-uri" "@request-target")').values();
  t.same(
    signatureBase(coverageOf(member?.items ?? []), '', bare)
      .split('\n')
      .slice(0, 4),
    ['"@path": /', '"@query": ?', '"@target-uri": http://a/', '"@request-target": *'],
  );
});

t.test('encodes query parameters anew (section 2.2.8)', async (t) => {
  const request: PlainRequest = {
    target:
      '/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&qux=&twice=1&twice=2&mark=~(!)*',
  };
  t.same(
    lines(
      request,
      '"@query-param";name="var" "@query-param";name="bar" "@query-param";name="fa%C3%A7ade%22%3A%20" "@query-param";name="qux" "@query-param";name="mark"',
    ),
    [
      '"@query-param";name="var": this%20is%20a%20big%0Amultiline%20value',
      '"@query-param";name="bar": with%20plus%20whitespace',
      '"@query-param";name="fa%C3%A7ade%22%3A%20": something',
      '"@query-param";name="qux": ',
      '"@query-param";name="mark": %7E%28%21%29*',
    ],
  );
  t.throws(() => lines(request, '"@query-param";name="twice"'), { code: 'component-missing' });
  t.throws(() => lines(request, '"@query-param";name="none"'), { code: 'component-missing' });
});

t.test('refuses components that no request can have', async (t) => {
  for (const components of [
    '"@status"',
    '"@signature-params"',
    '"@unknown"',
    '"@method";req',
    '"@query-param"',
    '"@query-param";name=a',
    '"@path";name="a"',
    '"date";req',
    '"date";unknown',
    '"date";sf=1',
    '"date";sf=?0',
    '"date";key',
    '"date";bs;sf',
    '"date";bs;key="a"',
    '"Date"',
    '"da te"',
    '""',
    'date',
    '1',
    '"date" "date"',
    '"d";sf;key="a" "d";key="a";sf',
    '"__proto__" "@constructor"',
  ])
    t.throws(() => lines(testRequest, components), { code: 'malformed-signature' }, components);
});

t.test('lets no value begin a line of its own', async (t) => {
  for (const value of ['a\n"@method": GET', 'a\r', '\n'])
    t.throws(() => lines({ fields: [['x', value]] }, '"x"'), { code: 'component-missing' });
});
