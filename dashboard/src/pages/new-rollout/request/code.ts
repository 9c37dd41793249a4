import type { RolloutRequest } from './request.ts';

type Language = 'curl' | 'TypeScript' | 'Python';
export const LANGUAGES: readonly Language[] = ['curl', 'TypeScript', 'Python'];

const MAKERS: Readonly<Record<Language, (request: RolloutRequest, origin: string) => string>> = {
  curl,
  TypeScript: typescript,
  Python: python,
};

/**
 * Program that makes the form's request. It reads the API key from the environment, so its text does not contain the
 * key.
 */
export function codeOf(language: Language, request: RolloutRequest, origin: string): string {
  return MAKERS[language](request, origin);
}

function curl({ path, body }: RolloutRequest, origin: string): string {
  const json = JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`);
  return `curl -X POST '${origin}${path}' \\
  -H "Authorization: Bearer $READAPT_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '${json}'`;
}

/** Reads the name of the base model from the path of a request that registers a version; null for any other request. */
function modelOf(path: string): string | null {
  const name = /^\/v1\/base-models\/([^/]+)\/versions$/.exec(path)?.[1];
  return name === undefined ? null : decodeURIComponent(name);
}

function typescript({ path, body }: RolloutRequest, origin: string): string {
  const model = modelOf(path);
  const operation = model === null ? 'createRollout' : 'createBaseModelVersion';
  const given = model === null ? '' : `\n  path: { model: ${JSON.stringify(model)} },`;
  const json = JSON.stringify(body, null, 2).replaceAll('\n', '\n  ');
  return `import { createClient, ${operation}, waitForRollout } from '@readapt/client';

const client = createClient({ baseUrl: '${origin}', apiKey: process.env.READAPT_KEY! });
const ${model === null ? 'rollout' : '{ rollout }'} = await ${operation}({
  client,${given}
  body: ${json},
});
const { summary } = await waitForRollout({ client, id: rollout${model === null ? '' : '!'}.id });
console.log(\`\${summary.ready} of \${summary.adapters} adapters are ready\`);`;
}

function python({ path, body }: RolloutRequest, origin: string): string {
  const model = modelOf(path);
  const [module, operation, type] =
    model === null
      ? ['rollouts', 'create_rollout', 'CreateRollout']
      : ['base_models', 'create_base_model_version', 'CreateBaseModelVersion'];
  const given = model === null ? '' : `${JSON.stringify(model)}, `;
  return `import os

from readapt_client import AuthenticatedClient
from readapt_client.api.${module} import ${operation}
from readapt_client.models import ${type}
from readapt_helpers import answer, wait_for_rollout

client = AuthenticatedClient(base_url="${origin}", token=os.environ["READAPT_KEY"])
body = ${type}.from_dict(${literal(body)})
${model === null ? 'rollout' : 'registered'} = answer(${operation}.sync_detailed(${given}client=client, body=body))
ended = wait_for_rollout(client, ${model === null ? 'rollout' : 'registered.rollout'}.id)
print(f"{ended.summary.ready} of {ended.summary.adapters} adapters are ready")`;
}

/** Python literal for a JSON value. @param indent indentation of the line on which it starts */
function literal(value: unknown, indent = ''): string {
  const deeper = `${indent}    `;
  if (Array.isArray(value)) {
    return value.length === 0 ? '[]' : `[${value.map((each) => literal(each, indent)).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) return '{}';
    const lines = entries.map(([name, each]) => `${deeper}${JSON.stringify(name)}: ${literal(each, deeper)},`);
    return `{\n${lines.join('\n')}\n${indent}}`;
  }
  if (value === null) return 'None';
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value);
}
