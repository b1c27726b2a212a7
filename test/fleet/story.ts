import { Fleet } from './fleet.ts';
import { Report } from './report.ts';

const [, , id = '', folder = '', image = ''] = process.argv;
const report = new Report();
let fleet: Fleet | undefined;
let ending = false;

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await fleet?.remove();
}

process.on('SIGTERM', async () => {
  report.broke('interrupted');
  await end();
  process.exit(report.end() ? 0 : 130);
});

try {
  report.chapter('six hosts');
  fleet = await Fleet.make(id, folder, image);
  const started = Date.now();
  await fleet.boot();
  report.check(true, `six hosts are up, ${Date.now() - started} ms after their start`);
} catch (error) {
  report.broke(error);
} finally {
  await end();
}
process.exitCode = report.end() ? 0 : 1;
