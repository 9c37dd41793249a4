import { describe, expect, it } from 'vitest';
import type { ChatMessage } from '../../../core/formats/dataset/dataset-row.ts';
import { ChatRenderError, createChatTemplate } from '../../../core/formats/tokenizer/chat-template.ts';

const SPECIALS = { bos_token: '<s>', eos_token: '</s>' };
const TURNS =
  '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}' +
  '{% if add_generation_prompt %}[assistant]{% endif %}';
const say = (...turns: [role: string, content: string][]): { messages: ChatMessage[] } => ({
  messages: turns.map(([role, content]) => ({ role, content })),
});
const CHAT = say(['user', 'a'], ['assistant', 'b'], ['user', 'c'], ['assistant', 'd']);

/** The text of each span. */
function spoken(template: string, chat = CHAT): string[] {
  const { text, spans } = createChatTemplate(template, SPECIALS).render(chat);
  return spans.map(([start, end]) => text.slice(start, end));
}

describe('a chat template', () => {
  it('finds the turns of the assistant by what each adds to the conversation before it', () => {
    const { text } = createChatTemplate(TURNS, SPECIALS).render(CHAT);
    expect(text).toBe('<s>[user]a</s>[assistant]b</s>[user]c</s>[assistant]d</s>');
    expect(spoken(TURNS)).toEqual(['b</s>', 'd</s>']);
  });

  it('finds them by {% generation %} where the template has it, and trims white space as the tags do', () => {
    const marked =
      "{% for m in messages %}\n  {%- if m.role == 'assistant' %}\n    {%- generation -%}\n    {{ m.content }}\n" +
      '    {%- endgeneration %}\n{{ eos_token }}\n  {%- else %}\n[user]{{ m.content }}\n  {%- endif %}\n{%- endfor %}';
    const { text } = createChatTemplate(marked, SPECIALS).render(CHAT);
    expect(text).toBe('[user]ab</s>[user]cd</s>');
    expect(spoken(marked)).toEqual(['b', 'd']);
  });

  it('is not confused by marks within what people say', () => {
    const marked = '{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}';
    const chat = say(['user', '\ue000'], ['assistant', '{% generation %}\ue001']);
    expect(spoken(marked, chat)).toEqual(['\ue000', '{% generation %}\ue001']);
  });

  it('takes the template for tools where there are tools and one for them', () => {
    const both = JSON.stringify([
      { name: 'default', template: TURNS },
      { name: 'tool_use', template: `{{ tools | length }} tools ${TURNS}` },
    ]);
    const template = createChatTemplate(both, SPECIALS);
    expect(template.render({ ...CHAT, tools: [{ name: 'add' }] }).text).toMatch(/^1 tools <s>/);
    expect(template.render(CHAT).text).toMatch(/^<s>/);
  });

  it('knows no time of day, so that equal rows give equal text', () => {
    const dated = `{% if strftime_now is defined %}{{ strftime_now("%Y") }}{% else %}2024{% endif %}${TURNS}`;
    expect(createChatTemplate(dated, SPECIALS).render(CHAT).text).toMatch(/^2024<s>/);
  });

  it.each<[string, string, string]>([
    [
      'raises an exception',
      "{{ raise_exception('roles must alternate') }}",
      'refuses the conversation: roles must alternate',
    ],
    [
      'does not begin a conversation like a longer one',
      `{{ messages | length }}${TURNS}`,
      'does not show which text is the assistant',
    ],
    ['marks nothing', `${TURNS}{% generation %}{% endgeneration %}`, 'marks nothing'],
  ])('is refused by name if it %s', (_, template, message) => {
    expect(() => spoken(template)).toThrow(ChatRenderError);
    expect(() => spoken(template)).toThrow(message);
  });

  it('that cannot be parsed does no harm until a conversation needs it', () => {
    const broken = createChatTemplate('{% for %}', SPECIALS);
    expect(() => broken.render(CHAT)).toThrow('has a chat template that cannot be parsed');
  });
});
