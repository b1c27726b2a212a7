import type { LoadedVocabulary } from '../../core/tokens/loaded-vocabulary.ts';
import type { Prompt } from '../../core/tokens/prompt.ts';
import { answerWith, type ModelCall, type ModelServer } from './model-server.ts';

/** The exact size of what a model server was sent, by its own tokenizer and chat template. */
export function promptTokensOf(vocabulary: LoadedVocabulary, body: ModelCall['body']): number {
  const messages = body.messages.map((message) => {
    const { content } = message;
    if (!Array.isArray(content)) return { ...message, content: content ?? '' };
    return {
      ...message,
      content: content
        .map(({ text }) => text)
        .filter(Boolean)
        .join('\n'),
    };
  });
  const { tools } = body as { tools?: readonly unknown[] };
  return vocabulary.count({ messages, ...(tools && { tools }) } as unknown as Prompt);
}

/** Makes a model server tokenize, answer, report and refuse as vLLM does. */
export function serveLikeVllm(server: ModelServer, vocabulary: LoadedVocabulary, windowTokens: number): void {
  server.routes.set('/tokenize', (call) => {
    const { messages, tools } = JSON.parse(call.body) as Prompt;
    try {
      const count = vocabulary.count({ messages, ...(tools && { tools }) });
      call.json(200, { count, max_model_len: windowTokens, tokens: Array(count).fill(1), token_strs: null });
    } catch (error) {
      call.json(400, {
        error: { message: (error as Error).message, type: 'BadRequestError', param: null, code: 400 },
      });
    }
  });
  server.behaviour = (call) => answerOrRefuse(call, vocabulary, windowTokens);
}

/** The same as llama.cpp's server does. */
export function serveLikeLlamaCpp(
  server: ModelServer,
  vocabulary: LoadedVocabulary,
  windowTokens: number,
): void {
  // A template leaves the text to another request; here the text is the prompt itself, as JSON.
  server.routes.set('/apply-template', (call) => call.json(200, { prompt: call.body }));
  server.routes.set('/tokenize', (call) => {
    const { content } = JSON.parse(call.body) as { content?: string };
    if (content === undefined) return call.json(200, { tokens: [] });
    call.json(200, { tokens: Array(vocabulary.count(JSON.parse(content))).fill(1) });
  });
  server.behaviour = (call) => answerOrRefuse(call, vocabulary, windowTokens);
}

function answerOrRefuse(call: ModelCall, vocabulary: LoadedVocabulary, windowTokens: number): void {
  const prompt = promptTokensOf(vocabulary, call.body);
  const limit = (call.body.max_completion_tokens ?? call.body.max_tokens ?? 16) as number;
  if (prompt + limit > windowTokens) {
    call.response.writeHead(400, { 'content-type': 'application/json' });
    call.response.end(
      JSON.stringify({
        error: {
          message: `This model's maximum context length is ${windowTokens} tokens. However, you requested ${prompt + limit} tokens (${prompt} in the messages, ${limit} in the completion).`,
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
      }),
    );
    return;
  }
  answerWith(call, `fits: ${prompt} + ${limit}`, {
    prompt_tokens: prompt,
    completion_tokens: 5,
    total_tokens: prompt + 5,
  });
}
