import t from 'tap';
import { loadLlmModels } from '../../../core/config/llm-models.ts';
import { modelsFile, startTestCore } from '../../support/core-service.ts';
import { answerWith, type ModelCall } from '../../support/model-server.ts';

const loaded = await loadLlmModels(modelsFile);
const name = loaded.default;
const model = loaded.models[name]!;
const models = {
  ...loaded,
  models: {
    ...loaded.models,
    [name]: {
      ...model,
      message_budget: { ...model.message_budget, recent_messages: 4, summary_tokens: 200 },
    },
  },
};
const isSummary = (call: ModelCall) => String(call.body.messages[0]?.content).startsWith('Summarize');

t.test(
  'what falls out of the window is summarized in the background, and the next turns are sent the summary',
  async (t) => {
    const core = await startTestCore(t, { models });
    const summarized: ModelCall[] = [];
    let told: (() => void) | undefined;
    core.model.behaviour = (call) => {
      if (!isSummary(call)) return answerWith(call, 'ok');
      summarized.push(call);
      answerWith(call, `summary ${summarized.length}`);
      told?.();
    };
    const summary = () => new Promise<void>((resolve) => (told = resolve));
    let made = summary();
    for (let turn = 1; turn <= 5; turn++) await core.say('s', `question ${turn}`);
    await made;
    t.match(summarized[0]?.body, { max_tokens: 200, stream: false });
    const transcript = String(summarized[0]?.body.messages[1]?.content);
    t.match(transcript, /question 1/);
    t.notMatch(transcript, /question 5/, 'what is still sent is not summarized');

    // The summary is stored after the model has said it: the first turn that finds it is awaited.
    const turnWithSummary = async () => {
      for (let turn = 6; ; turn++) {
        made = summary();
        const response = await core.say('s', `question ${turn}`);
        const sent = core.model.calls.findLast((call) => !isSummary(call))!;
        if (String(sent.body.messages[0]?.content).includes('summary 1')) return { response, sent };
      }
    };
    const { sent } = await turnWithSummary();
    t.match(sent.body.messages[0], {
      role: 'system',
      content: /^Summary of the earlier conversation.*\nsummary 1$/s,
    });
    t.match(sent.body.messages[1], { role: 'user' });
    const { messages } = (await (await core.fetch('/api/chats/s/messages?order=desc')).json()) as {
      messages: { context: object }[];
    };
    t.match(messages[0]?.context, { summarized: true, summary_up_to: Number });
  },
);

t.test('a summary that fails or never comes neither breaks nor slows a turn', async (t) => {
  const core = await startTestCore(t, { models });
  const asked = new Promise<ModelCall>((resolve) => {
    core.model.behaviour = (call) => (isSummary(call) ? resolve(call) : answerWith(call, 'ok'));
  });
  for (let turn = 1; turn <= 8; turn++) t.equal((await core.say('s', `question ${turn}`)).status, 200);
  const call = await asked;
  call.response.destroy();
  t.equal((await core.say('s', 'and now')).status, 200);
});
