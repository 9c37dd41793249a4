import { mkdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { promptTokens, type TokenizedExample } from '../../core/data/example.ts';
import { tokenizeRows } from '../../core/data/tokenize.ts';
import type { ChatContent, CompletionContent } from '../../core/formats/dataset/dataset-row.ts';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import { Random } from '../../core/statistics/random.ts';
import { SEEDS } from './support/cases.ts';
import { randomStrings, trainingTexts } from './support/texts.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();
const STYLES = ['llama3', 'qwen2', 'llama-legacy', 'llama-metaspace', 'gemma'] as const;
const cases = SEEDS.flatMap((seed) => STYLES.map((style) => ({ seed, style })));
const config = { maxPositionEmbeddings: 100_000, eosTokenIds: [] };
const BOS = 1;

/** Phi-3's template with the system turn and tools, and with the assistant's text marked. */
const MARKED =
  "{{ bos_token }}{% if tools %}{{ '<|tool|>' + (tools | tojson) + '<|end|>\\n' }}{% endif %}" +
  '{% for message in messages %}{% if message.role == "assistant" %}{{ "<|assistant|>\\n" }}' +
  '{% generation %}{{ message.content + "<|end|>" }}{% endgeneration %}{{ "\\n" }}' +
  '{% else %}{{ "<|" + message.role + "|>\\n" + message.content + "<|end|>\\n" }}{% endif %}{% endfor %}' +
  '{% if add_generation_prompt %}{{ "<|assistant|>\\n" }}{% endif %}';
const UNMARKED = MARKED.replaceAll(/\{% (end)?generation %\}/g, '');

async function trained(name: string, style: string, random: Random, template = MARKED): Promise<string> {
  const folder = workspace.path(name);
  await mkdir(folder);
  const texts = trainingTexts(random);
  await workspace.reference.call('rows.train', { folder, style, texts, vocab_size: 900, chat_template: template });
  return folder;
}

describe('rows with prompt and completion', () => {
  it.each(cases)(
    'have the tokens and labels that transformers gives the whole text: $style, seed $seed',
    async (each) => {
      const random = Random.fromSeed(each.seed);
      const folder = await trained(`rows ${each.style} ${each.seed}`, each.style, random);
      const texts = randomStrings(random, 240);
      const rows = Array.from({ length: 120 }, (_, i) => ({ prompt: texts[2 * i]!, completion: texts[2 * i + 1]! }))
        .filter(({ completion }) => completion !== '')
        .concat(SEAMS, each.style === 'qwen2' ? [] : COMPOSED);
      const expected = await workspace.reference.call('rows.tokenize', { folder, rows });
      const tokenizer = await loadTokenizer(folder);
      const learned = rows.flatMap((row, i) => {
        const { ids, label_start: start } = withoutSecondBos(expected[i]!);
        // A row without a token to predict from, or without one to predict, is refused.
        return start === 0 || start === ids.length ? [] : [{ row, ids, start }];
      });
      expect(learned.length).toBeGreaterThan(90);
      for (const { row, ids, start } of learned) {
        const [example] = tokenizeRows([row], { tokenizer, config });
        expect(example!.tokenIds, JSON.stringify(row)).toEqual(ids);
        expect(example!.labelSpans, JSON.stringify(row)).toEqual([[start, ids.length]]);
        const alone = tokenizer.encode(row.prompt);
        const prompt = alone[0] === BOS && alone[1] === BOS ? alone.slice(1) : alone;
        expect(promptTokens(example!), JSON.stringify(row)).toEqual(prompt);
      }
    },
  );
});

/** Rows where a token may span prompt and completion, and prompts made by a chat template. */
const SEAMS: CompletionContent[] = [
  { prompt: 'Sentiment: ', completion: 'positive' },
  { prompt: 'Sentiment:', completion: ' positive' },
  { prompt: 'the word th', completion: 'ere' },
  { prompt: 'two  ', completion: '  spaces' },
  { prompt: '\n', completion: '\n\n' },
  { prompt: '<s><|user|>\nhello<|end|>\n<|assistant|>\n', completion: 'there<|end|>' },
  { prompt: '<s>a', completion: 'b' },
  { prompt: 'a', completion: '</s>' },
  { prompt: '<|us', completion: 'er|>' },
];

/**
 * Rows where a normalizer merges the two into one character. transformers counts it as the prompt's; here it is a
 * label, because it has text of the completion (test/unit/data/joint-tokens.test.ts).
 */
const COMPOSED: CompletionContent[] = [{ prompt: 'cafe', completion: '\u0301s' }];

/**
 * Tokens without the second BOS: transformers adds one even to a text that begins with one, which the model was never
 * shown.
 */
function withoutSecondBos(row: { readonly ids: number[]; readonly label_start: number }) {
  const doubled = row.ids[0] === BOS && row.ids[1] === BOS;
  return doubled ? { ids: row.ids.slice(1), label_start: row.label_start - 1 } : row;
}

describe('conversations', () => {
  it.each(cases)('have the tokens and labels of transformers: $style, seed $seed', async ({ style, seed }) => {
    const random = Random.fromSeed(seed);
    const folder = await trained(`chats ${style} ${seed}`, style, random);
    const chats = randomChats(random, 30);
    const expected = await workspace.reference.call('rows.chats', { folder, chats });
    const plain = await trained(`plain ${style} ${seed}`, style, Random.fromSeed(seed), UNMARKED);
    for (const from of [folder, plain]) {
      const tokenizer = await loadTokenizer(from);
      const examples = tokenizeRows(chats, { tokenizer, config });
      for (const [i, example] of examples.entries()) {
        const { ids, mask, prompt_ids } = expected[i]!;
        const last = mask.lastIndexOf(1) + 1;
        expect(example.tokenIds).toEqual(ids.slice(0, last));
        expect(maskOf(example)).toEqual(mask.slice(0, last));
        expect(promptTokens(example)).toEqual(prompt_ids);
        expect(tokenizer.isSpecial(example.tokenIds.at(-1)!)).toBe(true);
      }
    }
  });
});

function maskOf({ tokenIds, labelSpans }: TokenizedExample): number[] {
  return tokenIds.map((_, at) => Number(labelSpans.some(([start, end]) => at >= start && at < end)));
}

function randomChats(random: Random, count: number): ChatContent[] {
  return Array.from({ length: count }, (_, i): ChatContent => {
    const texts = randomStrings(random, 7).map((text) => `x${text}`);
    const turns = texts.slice(0, 2 * (1 + random.integer(3)));
    const system = i % 3 === 0 ? [{ role: 'system', content: texts.at(-1)! }] : [];
    const messages = turns.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }));
    const tools = i % 4 === 0 ? [{ type: 'function', function: { name: 'add', parameters: { a: 'integer' } } }] : null;
    return { messages: [...system, ...messages], ...(tools && { tools }) };
  });
}
