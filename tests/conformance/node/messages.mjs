// The official Anthropic SDK as judge of /v1/messages.

import Anthropic from '@anthropic-ai/sdk';
import { BOTH, FUNCTIONS, PIXEL, RESULT, SCHEMA, SEA, WEATHER, main, must, refused, same } from './common.mjs';

const PATH = '/v1/messages';
const TOOLS = FUNCTIONS.map((f) => ({ name: f.name, description: f.description, input_schema: f.schema }));
const JSON_OUT = { format: { type: 'json_schema', schema: SCHEMA } };
const THINK = { type: 'enabled', budget_tokens: 1024 };

function read(message) {
  const of = (type) => message.content.filter((block) => block.type === type);
  same('role', message.role, 'assistant');
  must(message.id, 'an id');
  must(message.usage.output_tokens > 0, `output_tokens is ${message.usage.output_tokens}`);
  return {
    text: of('text').map((block) => block.text).join(''),
    thinking: of('thinking').map((block) => block.thinking).join(''),
    calls: of('tool_use').map((block) => ({ id: block.id, name: block.name, input: block.input })),
    stop: message.stop_reason,
    usage: { input: message.usage.input_tokens, output: message.usage.output_tokens },
  };
}

// What the raw events say, put together by hand: the deltas must agree with the SDK's own message.
function assemble(events) {
  const blocks = [];
  for (const event of events) {
    if (event.type === 'content_block_start') {
      same('block index', event.index, blocks.length);
      blocks.push({ ...event.content_block, json: '' });
    }
    if (event.type !== 'content_block_delta') continue;
    const block = blocks[event.index];
    if (event.delta.type === 'text_delta') block.text += event.delta.text;
    if (event.delta.type === 'thinking_delta') block.thinking += event.delta.thinking;
    if (event.delta.type === 'input_json_delta') block.json += event.delta.partial_json;
  }
  const of = (type) => blocks.filter((block) => block.type === type);
  same('message_start events', events.filter((event) => event.type === 'message_start').length, 1);
  same('message_stop events', events.filter((event) => event.type === 'message_stop').length, 1);
  return {
    text: of('text').map((block) => block.text).join(''),
    thinking: of('thinking').map((block) => block.thinking).join(''),
    calls: of('tool_use').map((block) => ({ id: block.id, name: block.name, input: JSON.parse(block.json || '{}') })),
  };
}

main(({ url, key, model, endpoints }) => {
  const client = new Anthropic({ baseURL: url, apiKey: key, authToken: null, maxRetries: 0, timeout: 60_000 });

  async function whole(tell, more) {
    const request = { model, max_tokens: 2000, messages: [{ role: 'user', content: SEA }], ...more };
    const { data, request_id: id } = await client.messages.create(request).withResponse();
    tell(PATH, request, read(data), id);
    return data;
  }

  async function stream(tell, more) {
    const request = { model, max_tokens: 2000, messages: [{ role: 'user', content: SEA }], ...more };
    const events = [];
    const running = client.messages.stream(request);
    running.on('streamEvent', (event) => events.push(event));
    const message = await running.finalMessage();
    const got = read(message);
    const { stop, usage, ...content } = got;
    same('deltas and final message', assemble(events), content);
    tell(PATH, request, got, running.request_id);
    return message;
  }

  // Ask, run the calls, send back everything that was said, as an agent does.
  const agent = (ask, question, more = {}) => async (tell) => {
    const messages = [{ role: 'user', content: question }];
    const said = await ask(tell, { messages, tools: TOOLS, ...more });
    const calls = said.content.filter((block) => block.type === 'tool_use');
    must(calls.length, 'a tool call');
    const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: RESULT }));
    messages.push({ role: 'assistant', content: said.content }, { role: 'user', content: results });
    await ask(tell, { messages, tools: TOOLS, ...more });
  };

  const image = {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
          { type: 'text', text: 'What is in this picture?' },
        ],
      },
    ],
  };
  const system = { system: [{ type: 'text', text: 'You are a sailor.' }, { type: 'text', text: 'Be brief.' }] };
  const structured = async (tell) => {
    const request = { model, max_tokens: 2000, output_config: JSON_OUT, messages: [{ role: 'user', content: SEA }] };
    const message = await client.messages.parse(request);
    must(Number.isInteger(JSON.parse(read(message).text).depth_m), 'a depth_m');
    tell(PATH, request, read(message), message._request_id);
  };

  const answers = {
    whole: (tell) => whole(tell, system),
    stream: (tell) => stream(tell, system),
    'tools, whole': agent(whole, WEATHER),
    'tools, stream': agent(stream, WEATHER),
    'parallel tools, stream': agent(stream, BOTH),
    'forced tool': (tell) => whole(tell, { tools: TOOLS, tool_choice: { type: 'tool', name: 'get_time' } }),
    'image, whole': (tell) => whole(tell, image),
    'image, stream': (tell) => stream(tell, image),
    'structured, whole': structured,
    'structured, stream': (tell) => stream(tell, { output_config: JSON_OUT }),
    'thinking, whole': (tell) => whole(tell, { thinking: THINK }),
    'thinking, stream': (tell) => stream(tell, { thinking: THINK }),
    'thinking with tools, stream': agent(stream, WEATHER, { thinking: THINK }),
    'stop at max_tokens': (tell) => stream(tell, { max_tokens: 20 }),
  };

  const around = {
    models: async () => {
      const found = [];
      for await (const one of client.models.list({ limit: 1000 })) found.push(one.id);
      must(found.includes(model), `${model} is not in ${found}`);
      same('type', (await client.models.retrieve(model)).type, 'model');
    },
    'count_tokens': async () => {
      const counted = await client.messages.countTokens({ model, messages: [{ role: 'user', content: SEA }] });
      must(counted.input_tokens > 3, `input_tokens is ${counted.input_tokens}`);
    },
    'wrong key': async () => {
      const stranger = new Anthropic({ baseURL: url, apiKey: 'ol_wrong', authToken: null, maxRetries: 0 });
      const request = { model, max_tokens: 10, messages: [{ role: 'user', content: SEA }] };
      const error = await refused(stranger.messages.create(request), 401, Anthropic.AuthenticationError);
      same('type', error.error?.error?.type, 'authentication_error');
    },
    'bad request': async () => {
      const request = { model, max_tokens: 10, messages: [{ role: 'user', content: 7 }] };
      await refused(client.messages.create(request), 400, Anthropic.BadRequestError);
    },
    'unknown model': async () => {
      await refused(client.models.retrieve('nobody-knows-it'), 404, Anthropic.NotFoundError);
      await refused(client.messages.create({ model: 'nobody-knows-it', max_tokens: 10, messages: [{ role: 'user', content: SEA }] }), 404, Anthropic.NotFoundError);
    },
  };
  return endpoints ? around : answers;
});
