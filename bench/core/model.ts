import { createServer } from 'node:http';

/**
 * The bare model: a process that answers each chat request with 20 words at once, or streams them one by one with
 * `gap=MS` of the last message between them, and as many as its `chunks=N` says. Prints its port.
 */
const words = Array.from({ length: 20 }, (_, index) => `word${index} `);
const chunk = (choice: object) =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, ...choice }] })}\n\n`;

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    // No tokenizer, no list of models.
    if (!request.url?.endsWith('/chat/completions')) return response.writeHead(404).end();
    const { stream, messages } = JSON.parse(Buffer.concat(parts).toString());
    if (stream !== true) {
      const message = { role: 'assistant', content: words.join('') };
      const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ id: 'x', choices: [{ index: 0, message, finish_reason: 'stop' }], usage }),
      );
      return;
    }
    const count = Number(/chunks=(\d+)/.exec(messages.at(-1).content)?.[1] ?? words.length);
    const gapMs = Number(/gap=(\d+)/.exec(messages.at(-1).content)?.[1] ?? 0);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let sent = 0;
    const next = () => {
      if (sent === count) {
        response.end(`${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`);
        return;
      }
      response.write(chunk({ delta: { content: words[sent++ % words.length] }, finish_reason: null }));
      if (gapMs > 0) setTimeout(next, gapMs);
      else next();
    };
    next();
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`port ${typeof address === 'object' ? address?.port : ''}\n`);
});
