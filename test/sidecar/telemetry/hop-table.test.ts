import t from 'tap';
import { hopsDocument, hopsOf, statusHops } from '../../../sidecar/telemetry/hop-documents.ts';
import {
  addHops,
  type HopRow,
  HopTable,
  mergeHopCounts,
  subtractHops,
} from '../../../sidecar/telemetry/hop-table.ts';
import { renderMetrics } from '../../../sidecar/telemetry/metrics.ts';
import { Telemetry } from '../../../sidecar/telemetry/telemetry.ts';
import type { CallRecord } from '../../../sidecar/terms/call-record.ts';
import { memoryLogger } from '../../support/log-lines.ts';

const host = '172.16.168.22';

function call(changes: Partial<CallRecord>): CallRecord {
  return {
    direction: 'outbound',
    requestId: '1',
    caller: 'main-backend',
    callee: 'npu-worker',
    method: 'GET',
    path: '/api/status/1',
    startedAtMs: 0,
    overheadMs: 0,
    endedAtMs: 1,
    verdict: { allowed: true, rule: '' },
    disposition: 'forwarded',
    status: 200,
    hop: { sealed: true, host },
    ...changes,
  };
}

const unproven = { allowed: false, denial: { reason: 'peer-unproven', detail: '' } } as const;

t.test('counts calls by host of a peer, and by how they travelled', (t) => {
  const table = new HopTable();
  table.call(call({}), 'npu-worker', 1000);
  table.call(call({}), 'npu-worker', 2000);
  table.call(call({ hop: { sealed: false, host } }), 'npu-worker', 3000);
  table.call(call({ hop: { sealed: true, host: '172.16.168.23' } }), 'npu-worker', 4000);
  table.call(call({ direction: 'inbound', hop: { sealed: false, host } }), 'main-backend', 5000);
  table.call(call({ hop: undefined }), 'npu-worker', 6000);
  const [first, second, third] = table.rows();
  t.match(first, {
    direction: 'outbound',
    sealed: { count: 2, first: 1000, last: 2000 },
    plain: { count: 1, first: 3000, last: 3000 },
    unproven: { count: 0 },
  });
  t.match(second, { host: '172.16.168.23', sealed: { count: 1 } });
  t.match(third, { direction: 'inbound', peer: 'main-backend', plain: { count: 1 } });
  t.end();
});

t.test('a call that met an unproven host is plain only if it was sent', (t) => {
  const table = new HopTable();
  const plain = { sealed: false, host };
  table.handshake('outbound', 'npu-worker', host, 'no-tls');
  table.call(call({ hop: plain, verdict: unproven, disposition: 'refused' }), 'npu-worker', 1000);
  t.match(table.rows()[0], { plain: { count: 0 }, unproven: { count: 1, last: 1000 }, failure: 'no-tls' });
  table.call(call({ hop: plain, verdict: unproven }), 'npu-worker', 2000);
  t.match(table.rows()[0], { plain: { count: 1 }, unproven: { count: 2, last: 2000 } });
  t.end();
});

t.test('adds up over workers and restarts, and takes away what was handed over', (t) => {
  const one = new HopTable();
  const two = new HopTable();
  one.call(call({}), 'npu-worker', 1000);
  two.call(call({}), 'npu-worker', 3000);
  two.handshake('outbound', 'npu-worker', host, 'closed');
  const [sum] = addHops([...one.rows(), ...two.rows()]) as [HopRow];
  t.match(sum, { sealed: { count: 2, first: 1000, last: 3000 }, failure: 'closed' });
  const before = one.rows().map((row) => ({ ...row }));
  one.call(call({}), 'npu-worker', 4000);
  t.match(subtractHops(one.rows(), before), [{ sealed: { count: 1, first: 1000, last: 4000 } }]);
  t.strictSame(hopsOf(hopsDocument([sum])), [sum], 'a document holds all of it');
  t.match(hopsOf([{ direction: 'outbound', peer: 'x', host, failure: 'of-a-later-version' }]), [
    { failure: undefined },
  ]);
  t.end();
});

t.test('counts connections and handshakes, in /status and in metrics', async (t) => {
  const telemetry = new Telemetry({
    service: 'main-backend',
    peers: ['npu-worker'],
    logger: memoryLogger().logger,
  });
  t.teardown(() => telemetry.close());
  telemetry.hopConnection('outbound', 'npu-worker', true, 1);
  telemetry.hopConnection('outbound', 'npu-worker', true, 1);
  telemetry.hopConnection('outbound', 'npu-worker', true, -1);
  telemetry.hopConnection('inbound', undefined, false, 1);
  telemetry.handshake('outbound', 'npu-worker', host, 'proven');
  telemetry.handshake('inbound', 'of no fleet', undefined, 'other-key');
  const snapshot = telemetry.snapshot();
  t.strictSame(statusHops(mergeHopCounts(snapshot.hopCounts)), [
    { direction: 'outbound', peer: 'npu-worker', sealed: 1, plain: 0, handshakes: { proven: 1 } },
    { direction: 'inbound', peer: 'unknown', sealed: 0, plain: 1, handshakes: { 'other-key': 1 } },
  ]);
  const text = await renderMetrics(snapshot, { phase: 'logging', version: '1' });
  t.match(text, 'countersign_hop_connections{direction="outbound",peer="npu-worker",state="sealed"} 1\n');
  t.match(text, 'countersign_handshakes_total{direction="inbound",peer="unknown",result="other-key"} 1\n');
});
