import { describe, expect, it } from 'vitest';
import { lengthWarning } from '../../../core/data/lengths.ts';
import { tokenizeOpenPrompts } from '../../../core/data/open-prompts.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { createChatTemplate } from '../../../core/formats/tokenizer/chat-template.ts';
import type { Tokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';

/** The characters \u0003 and \u0004 are special: the beginning of a text and the end of a turn. */
const TEMPLATE =
  '\u0003{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\u0004\n{% endfor %}' +
  '{% if add_generation_prompt %}a:{% endif %}';

function tokenizerWith(template: string): Tokenizer {
  return { ...characterTokenizer({ bos: 3, eos: 5 }), chatTemplate: createChatTemplate(template, {}) };
}

const tokenizer = tokenizerWith(TEMPLATE);
const config = { maxPositionEmbeddings: 4096, eosTokenIds: [5] };
const chat = (...contents: string[]) => ({
  messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })),
});
const textOf = (ids: readonly number[]) => String.fromCharCode(...ids);

describe('a conversation', () => {
  const run = (row: ReturnType<typeof chat>, maxLength = 100, with_: Tokenizer = tokenizer, appendEos = false) => {
    const [example] = tokenizeRows([row], { tokenizer: with_, config, maxLength, appendEos });
    const labels = example!.labelSpans.map(([start, end]) => textOf(example!.tokenIds.slice(start, end)));
    return { text: textOf(example!.tokenIds), labels, cut: example!.cut };
  };

  it('has as labels what the assistant says, each turn with the token that ends it', () => {
    const { text, labels } = run(chat('hi', 'yes', 'and', 'no'));
    expect(text).toBe('\u0003u:hi\u0004\na:yes\u0004\nu:and\u0004\na:no\u0004');
    expect(labels).toEqual(['yes\u0004', 'no\u0004']);
  });

  it('without an answer has the tokens that an answer follows on, and no labels', () => {
    const open = (...contents: string[]) => {
      const [example] = tokenizeOpenPrompts([chat(...contents)], { tokenizer, config });
      return [textOf(example!.tokenIds), example!.labelSpans];
    };
    expect(open('hi')).toEqual(['\u0003u:hi\u0004\na:', []]);
    expect(open('hi', 'yes', 'and')).toEqual(['\u0003u:hi\u0004\na:yes\u0004\nu:and\u0004\na:', []]);
  });

  it('has as labels the tokens of an answer that a version has written, whatever its text becomes', () => {
    const written = { promptIds: [3, 4, 5], answerIds: [6, 7] };
    const [example] = tokenizeRows([{ ...chat('hi', 'yes'), written }], { tokenizer, config });
    expect(example).toMatchObject({ tokenIds: [3, 4, 5, 6, 7], labelSpans: [[3, 5]] });
  });

  it('has the token that ends a turn as label where only the words are marked', () => {
    const template =
      "{% for m in messages %}{% if m.role == 'user' %}u:{{ m.content }}\u0004{% else %}a:{% generation %}" +
      '{{ m.content }}{% endgeneration %}\u0004\n{% endif %}{% endfor %}';
    expect(run(chat('hi', 'yes', 'and', 'no'), 100, tokenizerWith(template)).labels).toEqual(['yes\u0004', 'no\u0004']);
  });

  it('gets no second end, and gets one where the template ends no turn', () => {
    expect(run(chat('hi', 'yes'), 100, tokenizer, true).labels).toEqual(['yes\u0004']);
    const endless =
      '{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}';
    expect(run(chat('hi', 'yes'), 100, tokenizerWith(endless), true).labels).toEqual(['yes\n\u0005']);
  });

  it('that is too long loses its beginning, and says how many turns that were', () => {
    const row = chat('hi', 'yes', 'and', 'no', 'so?', 'never');
    const whole = run(row).text;
    expect(run(row, whole.length).cut).toBeUndefined();
    const { text, labels, cut } = run(row, 20);
    expect(text).toBe(`\u0003${whole.slice(-19)}`);
    expect(labels).toEqual(['never\u0004']);
    expect(cut).toEqual({ tokens: whole.length - 20, turns: 2 });
    const [example] = tokenizeRows([{ ...row, line: 7 }], { tokenizer, config, maxLength: 20 });
    expect(lengthWarning('gate', [example!], { config, maxLength: 20 })).toBe(
      '1 of 1 gate rows have more than 20 tokens and lose their beginning, with 2 earlier turns of the assistant: ' +
        `line 7; a larger max_length keeps them whole (the longest has ${whole.length} tokens)`,
    );
  });

  it('whose last turn does not fit is refused', () => {
    expect(() => run(chat('hi', 'x'.repeat(30)), 20)).toThrow(
      'row 1: the last turn has 31 tokens, expected at most 19',
    );
  });

  it('is refused where the base has no chat template, and where it is made to hurt', () => {
    const bare = characterTokenizer();
    expect(() => run(chat('hi', 'yes'), 100, bare)).toThrow(
      'row 1: is a conversation (messages), but the base has no chat',
    );
    const turns = Array.from({ length: 400 }, () => 'x'.repeat(100));
    expect(() => run(chat(...turns))).toThrow('turns of the assistant in');
  });
});
