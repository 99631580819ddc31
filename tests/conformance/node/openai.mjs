// The official OpenAI SDK as judge of /v1/chat/completions and /v1/responses.

import OpenAI from 'openai';
import { BOTH, FUNCTIONS, PIXEL, RESULT, SCHEMA, SEA, WEATHER, main, must, refused, same } from './common.mjs';

const PICTURE = `data:image/png;base64,${PIXEL}`;

function chatChecks(client, model) {
  const PATH = '/v1/chat/completions';
  const TOOLS = FUNCTIONS.map((f) => ({
    type: 'function',
    function: { name: f.name, description: f.description, parameters: f.schema, strict: true },
  }));

  function read(completion) {
    const [choice] = completion.choices;
    same('choices', completion.choices.length, 1);
    same('object', completion.object, 'chat.completion');
    must(completion.usage?.completion_tokens > 0, `usage is ${JSON.stringify(completion.usage)}`);
    return {
      text: choice.message.content ?? '',
      thinking: '',
      calls: (choice.message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        input: JSON.parse(call.function.arguments),
      })),
      stop: choice.finish_reason,
      usage: { input: completion.usage.prompt_tokens, output: completion.usage.completion_tokens },
    };
  }

  function assemble(chunks) {
    let text = '';
    const calls = [];
    for (const chunk of chunks) {
      for (const choice of chunk.choices) {
        text += choice.delta.content ?? '';
        for (const part of choice.delta.tool_calls ?? []) {
          const call = (calls[part.index] ??= { id: part.id, name: part.function.name, json: '' });
          call.json += part.function.arguments ?? '';
        }
      }
    }
    const ends = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.finish_reason);
    same('finish reasons', ends.length, 1);
    same('ids', new Set(chunks.map((chunk) => chunk.id)).size, 1);
    return { text, calls: calls.map(({ id, name, json }) => ({ id, name, input: JSON.parse(json) })) };
  }

  async function whole(tell, more) {
    const request = { model, messages: [{ role: 'user', content: SEA }], ...more };
    const { data, request_id: id } = await client.chat.completions.create(request).withResponse();
    tell(PATH, request, read(data), id);
    return data.choices[0].message;
  }

  async function stream(tell, more) {
    const request = {
      model,
      messages: [{ role: 'user', content: SEA }],
      stream_options: { include_usage: true },
      ...more,
    };
    const chunks = [];
    const running = client.chat.completions.stream(request);
    running.on('chunk', (chunk) => chunks.push(chunk));
    const completion = await running.finalChatCompletion();
    const got = read(completion);
    same('deltas and final message', assemble(chunks), { text: got.text, calls: got.calls });
    tell(PATH, request, got, null);
    return completion.choices[0].message;
  }

  const agent = (ask, question, more = {}) => async (tell) => {
    const messages = [{ role: 'user', content: question }];
    const said = await ask(tell, { messages, tools: TOOLS, ...more });
    must(said.tool_calls?.length, 'a tool call');
    messages.push(
      { role: 'assistant', content: said.content, tool_calls: said.tool_calls.map(({ id, type, function: f }) => ({ id, type, function: { name: f.name, arguments: f.arguments } })) },
      ...said.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: RESULT })),
    );
    await ask(tell, { messages, tools: TOOLS, ...more });
  };

  const system = {
    messages: [
      { role: 'system', content: 'You are a sailor.' },
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: SEA },
    ],
  };
  const image = {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is in this picture?' },
          { type: 'image_url', image_url: { url: PICTURE } },
        ],
      },
    ],
  };
  const structured = {
    response_format: { type: 'json_schema', json_schema: { name: 'sea', strict: true, schema: SCHEMA } },
  };
  return {
    whole: (tell) => whole(tell, system),
    stream: (tell) => stream(tell, system),
    'tools, whole': agent(whole, WEATHER),
    'tools, stream': agent(stream, WEATHER),
    'parallel tools, stream': agent(stream, BOTH),
    'forced tool': (tell) => whole(tell, { tools: TOOLS, tool_choice: { type: 'function', function: { name: 'get_time' } } }),
    'image, whole': (tell) => whole(tell, image),
    'image, stream': (tell) => stream(tell, image),
    'structured, whole': async (tell) => {
      const message = await whole(tell, structured);
      must(Number.isInteger(JSON.parse(message.content).depth_m), 'a depth_m');
    },
    'structured, stream': (tell) => stream(tell, structured),
    'effort, stream': (tell) => stream(tell, { reasoning_effort: 'high' }),
    'stop at max_tokens': (tell) => stream(tell, { max_completion_tokens: 20 }),
    'no usage asked, stream': async () => {
      const chunks = await client.chat.completions.create({ model, messages: [{ role: 'user', content: SEA }], stream: true });
      let ended = 0;
      for await (const chunk of chunks) {
        same('choices of a chunk', chunk.choices.length, 1);
        ended += chunk.choices[0].finish_reason ? 1 : 0;
      }
      same('finish reasons', ended, 1);
    },
  };
}

function responsesChecks(client, model) {
  const PATH = '/v1/responses';
  const TOOLS = FUNCTIONS.map((f) => ({
    type: 'function',
    name: f.name,
    description: f.description,
    parameters: f.schema,
    strict: true,
  }));
  const THINK = { reasoning: { effort: 'high', summary: 'auto' }, include: ['reasoning.encrypted_content'] };

  function read(response) {
    const of = (type) => response.output.filter((item) => item.type === type);
    same('object', response.object, 'response');
    must(response.usage?.output_tokens > 0, `usage is ${JSON.stringify(response.usage)}`);
    const text = of('message').flatMap((item) => item.content).map((part) => part.text).join('');
    same('output_text', response.output_text, text);
    return {
      text,
      thinking: of('reasoning').flatMap((item) => item.summary).map((part) => part.text).join(''),
      calls: of('function_call').map((item) => ({ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) })),
      stop: response.status === 'incomplete' ? response.incomplete_details.reason : response.status,
      usage: { input: response.usage.input_tokens, output: response.usage.output_tokens },
    };
  }

  function assemble(events) {
    let text = '';
    const calls = {};
    events.forEach((event, number) => {
      if (number) must(event.sequence_number > events[number - 1].sequence_number, 'sequence numbers that grow');
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.output_item.added' && event.item.type === 'function_call') {
        calls[event.item.id] = { id: event.item.call_id, name: event.item.name, json: '' };
      }
      if (event.type === 'response.function_call_arguments.delta') calls[event.item_id].json += event.delta;
    });
    const ends = events.filter((event) => /^response\.(completed|incomplete|failed)$/.test(event.type));
    same('terminal events', ends.length, 1);
    return { text, calls: Object.values(calls).map(({ id, name, json }) => ({ id, name, input: JSON.parse(json) })) };
  }

  async function whole(tell, more) {
    const request = { model, input: SEA, store: false, ...more };
    const { data, request_id: id } = await client.responses.create(request).withResponse();
    tell(PATH, request, read(data), id);
    return data;
  }

  async function stream(tell, more) {
    const request = { model, input: SEA, store: false, ...more };
    const events = [];
    const running = client.responses.stream(request);
    running.on('event', (event) => events.push(event));
    const response = await running.finalResponse();
    const got = read(response);
    same('deltas and final response', assemble(events), { text: got.text, calls: got.calls });
    tell(PATH, request, got, null);
    return response;
  }

  const agent = (ask, question, more = {}) => async (tell) => {
    const input = [{ role: 'user', content: question }];
    const said = await ask(tell, { input, tools: TOOLS, ...more });
    const calls = said.output.filter((item) => item.type === 'function_call');
    must(calls.length, 'a tool call');
    const back = said.output.map(({ parsed_arguments, ...item }) => item);
    input.push(...back, ...calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: RESULT })));
    await ask(tell, { input, tools: TOOLS, ...more });
  };

  const image = {
    input: [
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'What is in this picture?' },
          { type: 'input_image', detail: 'auto', image_url: PICTURE },
        ],
      },
    ],
  };
  const structured = { text: { format: { type: 'json_schema', name: 'sea', strict: true, schema: SCHEMA } } };
  const system = { instructions: 'You are a sailor.' };
  return {
    whole: (tell) => whole(tell, system),
    stream: (tell) => stream(tell, system),
    'tools, whole': agent(whole, WEATHER),
    'tools, stream': agent(stream, WEATHER),
    'parallel tools, stream': agent(stream, BOTH),
    'forced tool': (tell) => whole(tell, { tools: TOOLS, tool_choice: { type: 'function', name: 'get_time' } }),
    'image, whole': (tell) => whole(tell, image),
    'image, stream': (tell) => stream(tell, image),
    'structured, whole': async (tell) => {
      const response = await whole(tell, structured);
      must(Number.isInteger(JSON.parse(response.output_text).depth_m), 'a depth_m');
    },
    'structured, stream': (tell) => stream(tell, structured),
    'thinking, whole': (tell) => whole(tell, THINK),
    'thinking, stream': (tell) => stream(tell, THINK),
    'thinking with tools, stream': agent(stream, WEATHER, THINK),
    'stop at max_tokens': (tell) => stream(tell, { max_output_tokens: 20 }),
  };
}

function aroundChecks(client, model, { url }) {
  const question = { model, messages: [{ role: 'user', content: SEA }] };
  return {
    models: async () => {
      const found = [];
      for await (const one of client.models.list()) found.push(one.id);
      must(found.includes(model), `${model} is not in ${found}`);
      same('object', (await client.models.retrieve(model)).object, 'model');
    },
    embeddings: async () => {
      const made = await client.embeddings.create({ model: 'embedder', input: ['the sea', 'the shore'] });
      same('vectors', made.data.length, 2);
      must(made.data[0].embedding.length > 8, 'a vector with numbers');
    },
    'wrong key': async () => {
      const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'ol_wrong', maxRetries: 0 });
      await refused(stranger.chat.completions.create(question), 401, OpenAI.AuthenticationError);
      await refused(stranger.responses.create({ model, input: SEA }), 401, OpenAI.AuthenticationError);
    },
    'bad request': async () => {
      await refused(client.chat.completions.create({ model, messages: 7 }), 400, OpenAI.BadRequestError);
      await refused(client.responses.create({ model, input: 7 }), 400, OpenAI.BadRequestError);
    },
    'unknown model': async () => {
      await refused(client.models.retrieve('nobody-knows-it'), 404, OpenAI.NotFoundError);
      await refused(client.chat.completions.create({ ...question, model: 'nobody-knows-it' }), 404, OpenAI.NotFoundError);
    },
  };
}

main((given) => {
  const { url, key, model, surface, endpoints } = given;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000 });
  if (endpoints) return aroundChecks(client, model, given);
  return (surface === 'chat' ? chatChecks : responsesChecks)(client, model);
});
