/**
 * Stand-in for a serving engine, for machines without one. It has the part of vLLM's HTTP interface that the example
 * needs, loads PEFT folders, and computes every answer with Readapt's own engine. It is not vLLM, serves one request at
 * a time, and is not for production. It takes the options of `vllm serve` that the example gives, and ends when its
 * standard input is closed.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { parseArgs } from 'node:util';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { FormatError } from '../../../core/formats/errors.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { complete, type CompletionRequest } from './complete.ts';

/** Largest body of a request, in bytes. */
const MAX_BODY = 1 << 20;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Loaded adapter, and the folder that it comes from. */
interface Loaded {
  readonly adapter: Adapter;
  readonly path: string;
}

type Body = Readonly<Record<string, unknown>>;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'served-model-name': { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' },
    'enable-lora': { type: 'boolean' },
    'max-lora-rank': { type: 'string', default: '16' },
  },
});
const servingName = values['served-model-name']!;
const bases = new BaseCache({ threads: 1 });
const base = await bases.load(positionals[0]!);
const loaded = new Map<string, Loaded>();
let last: Promise<unknown> = Promise.resolve();

const ROUTES: Readonly<Record<string, (body: Body) => Answer | Promise<Answer>>> = {
  'GET /v1/models': () => ({
    status: 200,
    body: {
      object: 'list',
      data: [
        { id: servingName, object: 'model', root: positionals[0], parent: null },
        ...[...loaded].map(([id, { path }]) => ({ id, object: 'model', root: path, parent: servingName })),
      ],
    },
  }),
  'POST /v1/load_lora_adapter': ({ lora_name: name, lora_path: path }) => load(String(name), String(path)),
  'POST /v1/unload_lora_adapter': ({ lora_name: name }) =>
    loaded.delete(String(name)) ? { status: 200, body: 'unloaded' } : refuse(404, `${String(name)} is not loaded`),
  'POST /v1/completions': completions,
};

async function load(name: string, path: string): Promise<Answer> {
  if (name === servingName || loaded.has(name)) return refuse(400, `${name} is already loaded`);
  try {
    const adapter = await loadAdapter(path, base.model.config);
    const most = Number(values['max-lora-rank']);
    const rank = Math.max(...[...adapter.modules.values()].map((module) => module.rank));
    if (rank > most) return refuse(400, `the rank of ${name} is ${rank}, more than --max-lora-rank ${most}`);
    loaded.set(name, { adapter, path });
    return { status: 200, body: 'loaded' };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!isMissing && !(error instanceof FormatError)) throw error;
    return refuse(isMissing ? 404 : 400, (error as Error).message);
  }
}

async function completions({ model, prompt, max_tokens: length = 16, temperature }: Body): Promise<Answer> {
  const chosen = loaded.get(String(model));
  if (chosen === undefined && model !== servingName) return refuse(404, `the model ${String(model)} does not exist`);
  if (typeof prompt !== 'string' || typeof length !== 'number') return refuse(400, 'prompt or max_tokens is wrong');
  if (temperature !== 0) return refuse(400, 'this stand-in decodes greedily: set temperature to 0');
  const request: CompletionRequest = { base, adapter: chosen?.adapter ?? null, prompt, length };
  const turn = last.then(() => complete(request));
  last = turn.catch(() => undefined);
  const choice = await turn;
  return { status: 200, body: { object: 'text_completion', model, choices: [{ index: 0, ...choice }] } };
}

function refuse(status: number, message: string): Answer {
  return { status, body: { error: { message, code: status } } };
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const route = ROUTES[`${request.method} ${request.url}`];
  if (route === undefined) return refuse(404, 'not found');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY) return refuse(413, `a request is larger than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return route(bytes === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Body));
}

const server = createServer((request, response) => {
  void answer(request)
    .catch((error: unknown) => refuse(500, String(error)))
    .then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
});
server.listen(Number(values.port), values.host);
process.stdin.on('end', () => process.exit(0)).resume();
