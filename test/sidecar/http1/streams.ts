import fc from 'fast-check';

const text = fc.string({ unit: fc.constantFrom(...'abcXYZ 019\r\n;:=,%'), maxLength: 40 });
const chunked = fc
  .tuple(
    fc.array(
      fc.tuple(
        text.filter((chunk) => chunk.length > 0),
        fc.constantFrom('', ';a', ';a=b', ';a="c"'),
        fc.boolean(),
      ),
      { maxLength: 4 },
    ),
    fc.constantFrom('', 'X-Sum: 1\r\n', 'X-Sum: 1\r\nX-More: 2\r\n'),
  )
  .map(
    ([chunks, trailers]) =>
      `${chunks
        .map(([chunk, extension, padded]) => {
          const size = chunk.length.toString(16);
          return `${padded ? `00${size.toUpperCase()}` : size}${extension}\r\n${chunk}\r\n`;
        })
        .join('')}0\r\n${trailers}\r\n`,
  );
const fields = fc.subarray([
  'Accept: */*',
  'X-A:b',
  'X-Empty:',
  'Cookie:  a=1 ',
  'Connection: keep-alive',
  'Expect:x',
]);
/** A well-formed request. */
export const message = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'),
    fc.constantFrom('/', '/a/b?c', '/%2e%2e/;x', '/?a?b', '//x'),
    fields,
    fc.oneof(
      fc.constant(''),
      text.map((body) => `Content-Length: ${body.length}\r\n\r\n${body}`),
      chunked.map((body) => `Transfer-Encoding: chunked\r\n\r\n${body}`),
    ),
  )
  .map(
    ([method, target, some, body]) =>
      `${method} ${target} HTTP/1.1\r\nHost: a\r\n${some
        .filter((field) => field !== 'Expect:x')
        .map((field) => `${field}\r\n`)
        .join('')}${body === '' ? '\r\n' : body}`,
  );
/** How many bytes come at once, in turn. */
export const splits = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 });

/** Where a stream is broken: what is put there, and how many characters go. */
export const breakage = fc.tuple(
  fc.nat(),
  fc.constantFrom(
    '',
    '\r',
    '\n',
    ' ',
    '\0',
    ':',
    '0',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: 3\r\n',
    '\r\n',
  ),
  fc.nat(3),
);

export function broken(whole: string, [where, put, cut]: readonly [number, string, number]): string {
  const at = where % whole.length;
  return whole.slice(0, at) + put + whole.slice(at + cut);
}
