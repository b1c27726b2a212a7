import t from 'tap';
import { metricsFormat } from '../../../sidecar/admin/accept.ts';

t.test('OpenMetrics is for those who ask for it', async (t) => {
  for (const [accept, format] of [
    [undefined, 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/plain', 'prometheus'],
    ['application/openmetrics-text', 'openmetrics'],
    ['application/openmetrics-text; version=1.0.0; q=0.5, text/plain;version=0.0.4;q=0.2', 'openmetrics'],
    ['application/openmetrics-text;q=0.2,text/plain;q=0.5', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['application/openmetrics-textual', 'prometheus'],
    ['Application/OpenMetrics-Text', 'openmetrics'],
    ['application/openmetrics-text;q=nonsense', 'prometheus'],
  ] as const)
    t.equal(metricsFormat(accept), format, String(accept));
});
