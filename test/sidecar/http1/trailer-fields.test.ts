import t from 'tap';
import {
  announcedTrailers,
  ownTrailers,
  requestTrailers,
  responseTrailers,
} from '../../../sidecar/http1/trailer-fields.ts';

const trailers = new Map([
  ['x-sum', '1'],
  ['grpc-status', '0'],
  ['content-length', '9'],
  ['content.length', '9'],
  ['set-cookie', 'a=1'],
  ['x-service-id', 'backend'],
  ['x.service.id', 'backend'],
  ['x-http-method', 'DELETE'],
  ['signature', 'svc=:aGk=:'],
  ['range', 'bytes=0-1'],
]);

t.test(
  'attack: of the trailers of an answer those stay that no client takes for a field of the head',
  async (t) => {
    t.equal(
      responseTrailers(trailers, undefined).http1Lines,
      'x-sum: 1\r\ngrpc-status: 0\r\nx-http-method: DELETE\r\nsignature: svc=:aGk=:\r\nrange: bytes=0-1\r\n',
    );
    t.notMatch(
      responseTrailers(trailers, new Set(['x-sum'])).http1Lines,
      /x-sum/,
      'what Connection names ends here',
    );
  },
);

t.test('attack: of the trailers of a request none stays that was checked in the head', async (t) => {
  t.strictSame(ownTrailers(trailers), [
    ['x-sum', '1'],
    ['grpc-status', '0'],
  ]);
  t.equal(requestTrailers(trailers).http1Lines, 'x-sum: 1\r\ngrpc-status: 0\r\n');
  t.strictSame(ownTrailers(undefined), []);
  t.equal(requestTrailers(undefined).http1Lines, '');
});

t.test('a Trailer field announces names, each once', async (t) => {
  t.strictSame(announcedTrailers(undefined), []);
  t.strictSame(announcedTrailers('X-Sum, grpc-status,x-sum'), ['x-sum', 'grpc-status']);
  t.strictSame(announcedTrailers('x-sum, Content-Length, X-Service-ID, signature, a b, , "q"'), ['x-sum']);
});
