// What both SDKs' judges share: the questions, the reporting, the reading of standard input.
// Every line on standard output is one finding as JSON; the Python side holds it to the truth.

export const SEA = 'Tell me about the sea.';
export const WEATHER = 'What is the weather in Paris?';
export const BOTH = 'What is the weather and the time in Paris? [[call=get_weather,get_time]]';
export const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
export const RESULT = '18 °C, “breezy”';

export const LOCATION = {
  type: 'object',
  properties: { location: { type: 'string' } },
  required: ['location'],
  additionalProperties: false,
};
export const SCHEMA = {
  type: 'object',
  properties: {
    title: { type: 'string' },
    depth_m: { type: 'integer' },
    kind: { type: 'string', enum: ['sea', 'ocean'] },
  },
  required: ['title', 'depth_m', 'kind'],
  additionalProperties: false,
};
export const FUNCTIONS = [
  { name: 'get_weather', description: 'Weather of a place.', schema: LOCATION },
  { name: 'get_time', description: 'Time of a place.', schema: LOCATION },
];

export function same(what, one, two) {
  const [a, b] = [JSON.stringify(one), JSON.stringify(two)];
  if (a !== b) throw new Error(`${what} differ: ${a.slice(0, 200)} and ${b.slice(0, 200)}`);
}

export function must(condition, what) {
  if (!condition) throw new Error(what);
}

export async function refused(promise, status, ErrorClass) {
  try {
    await promise;
  } catch (error) {
    must(error instanceof ErrorClass, `expected ${ErrorClass.name}, got ${error?.constructor?.name}: ${error?.message}`);
    same('status', error.status, status);
    return error;
  }
  throw new Error(`expected ${ErrorClass.name}, got an answer`);
}

async function input() {
  let text = '';
  for await (const piece of process.stdin) text += piece;
  return JSON.parse(text);
}

// A check calls `tell(path, request, got, id)` once for each answer it has had.
export async function main(makeChecks) {
  const given = await input();
  const checks = makeChecks(given);
  for (const [name, check] of Object.entries(checks)) {
    const began = performance.now();
    const answers = [];
    // Cloned: an agent's conversation grows in place.
    const tell = (path, request, got, id) => answers.push(structuredClone({ path, request, got, id }));
    let error = null;
    try {
      await check(tell);
    } catch (problem) {
      error = `${problem?.constructor?.name}: ${problem?.message}`.slice(0, 2000);
    }
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(JSON.stringify({ check: name, seconds, answers, error }) + '\n');
  }
}
