/** The last event of a stream that is whole. */
export const endOfStream = 'data: [DONE]\n\n';

/** One event of a stream. Data that has line breaks in it takes several lines. */
export function toEvent(data: string): string {
  return data.includes('\n') ? `data: ${data.replaceAll('\n', '\ndata: ')}\n\n` : `data: ${data}\n\n`;
}

/** Where a stream goes. */
export interface EventSink {
  /** @returns what to wait for before there is more; undefined when there is room */
  write(piece: string | Uint8Array): Promise<void> | undefined;
}

/** A stream on its way to one client. Resolves when all of it is written; throws what broke it off. */
export type EventSource = (sink: EventSink) => Promise<void>;

/** A stream of pieces that are there already, or come one by one. */
export function fromPieces(pieces: AsyncIterable<string>): EventSource {
  return async (sink) => {
    for await (const piece of pieces) {
      const full = sink.write(piece);
      if (full !== undefined) await full;
    }
  };
}
