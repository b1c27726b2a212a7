import t from 'tap';
import { takeBuffer } from '../../../sidecar/exchange/body-buffers.ts';
import { KeptBytes } from '../../../sidecar/exchange/kept-bytes.ts';

const KiB = 1024;

t.test('bytes of an announced length lie behind each other', async (t) => {
  const kept = new KeptBytes(48 * KiB);
  const piece = Buffer.alloc(16 * KiB, 'a');
  for (let i = 0; i < 3; i++) t.same(kept.add(piece, 0, piece.length), piece);
  t.equal(kept.length, 48 * KiB);
  t.equal(kept.pieces.length, 1);
});

t.test('bytes of an unknown length take room as they come', async (t) => {
  const kept = new KeptBytes(undefined);
  const piece = Buffer.alloc(40 * KiB, 'b');
  kept.add(piece, 0, piece.length);
  kept.add(piece, 0, piece.length);
  t.equal(Buffer.concat(kept.pieces).length, 80 * KiB);
  t.equal(kept.pieces.length, 2);
});

t.test('more than was announced is kept as well', async (t) => {
  const kept = new KeptBytes(2);
  kept.add(Buffer.from('ab'), 0, 2);
  kept.add(Buffer.from('cd'), 0, 2);
  t.equal(Buffer.concat(kept.pieces).toString(), 'abcd');
});

t.test('its memory is used again once it is given back, and not before', async (t) => {
  const kept = new KeptBytes(60 * KiB);
  const { buffer } = kept.add(Buffer.from('x'), 0, 1);
  t.not(takeBuffer(60 * KiB).buffer, buffer);
  kept.giveBack(undefined);
  t.equal(takeBuffer(60 * KiB).buffer, buffer);
  kept.giveBack(undefined);
  t.not(takeBuffer(60 * KiB).buffer, buffer, 'once');
});
