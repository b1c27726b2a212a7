import { type Debugger, Session } from 'node:inspector';

/** One function on a stack, as `name (file:line:column)`. */
export type Frame = string;

const maxFrames = 40;

/**
 * Takes the JavaScript stack of the main thread, from a worker thread, while it runs: the inspector interrupts
 * whatever it does, a loop that never ends included. A native call that blocks is seen when it returns.
 */
export async function sampleMainThread(): Promise<Frame[]> {
  const session = new Session();
  session.connectToMainThread();
  const urls = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  try {
    const paused = new Promise<Debugger.CallFrame[]>((resolve) => {
      session.once('Debugger.paused', ({ params }) => resolve(params.callFrames));
    });
    session.post('Debugger.enable');
    session.post('Debugger.pause');
    const frames = await paused;
    session.post('Debugger.resume');
    session.post('Debugger.disable');
    return frames.slice(0, maxFrames).map((frame) => describeFrame(frame, urls));
  } finally {
    // Also lets the main thread go on if it is still paused.
    session.disconnect();
  }
}

function describeFrame(
  { functionName, location }: Debugger.CallFrame,
  urls: ReadonlyMap<string, string>,
): Frame {
  const url = urls.get(location.scriptId) ?? '';
  const name = functionName === '' ? '(anonymous)' : functionName;
  return `${name} (${url}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1})`;
}
