import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ExportOrder, ExportStart } from './export-thread.ts';
import type { Batch, Receipt } from './feed.ts';
import { LineFile } from './line-file.ts';
import { exportBody } from './otlp.ts';
import { postOtlp } from './otlp-post.ts';

const { targets, resource, version } = workerData as ExportStart;
const file = targets.accessLog === undefined ? undefined : new LineFile(targets.accessLog);

/** @returns how many were lost, and why */
async function deliver({ signal, lines, count }: Batch): Promise<Omit<Receipt, 'signal'>> {
  try {
    if (signal === 'access') {
      await file?.write(lines);
      return { lost: 0 };
    }
    const body = exportBody(signal, lines.split('\n'), resource, version);
    const { rejected, problem } = await postOtlp(`${targets.otlp}/v1/${signal}`, signal, body);
    return { lost: rejected, ...(problem !== undefined && { problem }) };
  } catch (error) {
    return { lost: count, problem: (error as Error).message };
  }
}

function attach(port: MessagePort): void {
  port.on('message', (batch: Batch) => {
    void deliver(batch).then((result) =>
      port.postMessage({ signal: batch.signal, ...result } satisfies Receipt),
    );
  });
}

(parentPort as MessagePort).on('message', (order: ExportOrder) => {
  if ('attach' in order) attach(order.attach);
  else file?.reopen();
});
