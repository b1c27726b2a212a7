/** The last event of a stream that is whole. */
export const endOfStream = 'data: [DONE]\n\n';

/** One event of a stream. Data that has line breaks in it takes several lines. */
export function toEvent(data: string): string {
  return data.includes('\n') ? `data: ${data.replaceAll('\n', '\ndata: ')}\n\n` : `data: ${data}\n\n`;
}
