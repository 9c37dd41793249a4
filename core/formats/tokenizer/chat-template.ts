import { Template } from '@huggingface/jinja';
import type { ChatContent } from '../dataset/dataset-row.ts';
import { FormatError } from '../errors.ts';

/**
 * Statement put before every template. It removes the renderer's clock function, so that equal rows always give equal
 * text.
 */
const NO_CLOCK = '{% set strftime_now = undefined %}';

/** A conversation as text, with the character ranges [start, end) of the assistant's words. */
export interface RenderedChat {
  readonly text: string;
  readonly spans: readonly (readonly [start: number, end: number])[];
}

/** Thrown for a conversation that the template refuses, or in whose text the assistant's turns cannot be found. */
export class ChatRenderError extends Error {}

/**
 * Renders conversations as text, like transformers' `apply_chat_template`. Throws ChatRenderError for a conversation
 * that the template refuses, and FormatError `invalid_tokenizer` for a template that cannot be parsed.
 */
export interface ChatTemplate {
  /** Renders a conversation and finds the assistant's turns in it. */
  render(chat: ChatContent): RenderedChat;
}

/** Texts of the special tokens that templates may name, by their names in tokenizer_config.json (`bos_token`). */
export type SpecialTokenTexts = Readonly<Record<string, string>>;

/** Range of characters (code points) from which the marks around an assistant's turns are chosen. */
const PRIVATE_USE = { first: 0xe000, last: 0xf8ff };

const GENERATION_TAG = /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g;

/**
 * Parses the chat template of a tokenizer: one template, or a JSON list of named ones, of which `tool_use` is for
 * conversations with tools and `default` for all others.
 *
 * The assistant's turns are the text that the template puts between `{% generation %}` and `{% endgeneration %}`. For a
 * template without these tags, the conversation is rendered twice for each turn of the assistant: up to the beginning
 * of the turn, with the generation prompt, and up to the end of the turn. The turn is the difference between the two
 * texts. The template is refused if its text of the whole conversation does not begin with these two texts.
 *
 * `strftime_now` is not defined, so templates use their own fallback date, and equal rows always give equal text.
 *
 * Parsing is lazy, because a base with an unusable template still serves rows of other kinds.
 */
export function createChatTemplate(source: string, specials: SpecialTokenTexts): ChatTemplate {
  let named: ReadonlyMap<string, ParsedTemplate> | undefined;
  const pick = ({ tools }: ChatContent): ParsedTemplate => {
    named ??= namedTemplates(source);
    const found = (tools && named.get('tool_use')) ?? named.get('default');
    if (found) return found;
    throw new ChatRenderError(`the base has chat templates called ${[...named.keys()].join(', ')}, but no default one`);
  };
  return {
    render: (chat) => render(pick(chat), chat, specials),
  };
}

interface ParsedTemplate {
  readonly template: Template;
  /** Whether the template itself marks the assistant's words, with `{% generation %}` tags. */
  readonly marks: boolean;
}

function namedTemplates(source: string): ReadonlyMap<string, ParsedTemplate> {
  if (!source.startsWith('[')) return new Map([['default', parse(source)]]);
  const list = JSON.parse(source) as readonly { readonly name: string; readonly template: string }[];
  return new Map(list.map(({ name, template }) => [name, parse(template)]));
}

function parse(source: string): ParsedTemplate {
  const marked = source.replace(GENERATION_TAG, (_, open: string, end: string | undefined, close: string) => {
    const mark = end === undefined ? 'generation_start' : 'generation_end';
    // Replace the tag by a block, so that line feeds and indentation around it are trimmed in the same way.
    return `{%${open === '-' ? '-' : ''} if true %}{{ ${mark} }}{% endif ${close === '-' ? '-' : ''}%}`;
  });
  try {
    return { template: new Template(`${NO_CLOCK}${marked}`), marks: marked !== source };
  } catch (cause) {
    const message = `has a chat template that cannot be parsed: ${(cause as Error).message}`;
    throw new FormatError({ code: 'invalid_tokenizer', file: 'tokenizer_config.json', message, cause });
  }
}

function run({ template }: ParsedTemplate, { messages, tools }: ChatContent, variables: object): string {
  try {
    return template.render({ ...variables, messages, tools: tools ?? null });
  } catch (cause) {
    const message = `the base's chat template refuses the conversation: ${(cause as Error).message.slice(0, 200)}`;
    throw new ChatRenderError(message, { cause });
  }
}

function render(parsed: ParsedTemplate, chat: ChatContent, specials: SpecialTokenTexts): RenderedChat {
  return parsed.marks ? renderMarked(parsed, chat, specials) : renderPrefixes(parsed, chat, specials);
}

/**
 * Renders a conversation with a template that has `{% generation %}` tags. The template prints a mark at both ends of
 * each assistant's turn. The marks give the ranges of the turns and are removed from the text.
 */
function renderMarked(parsed: ParsedTemplate, chat: ChatContent, specials: SpecialTokenTexts): RenderedChat {
  const [start, end] = unusedCharacters(JSON.stringify(chat));
  const marked = run(parsed, chat, { ...specials, generation_start: start, generation_end: end });
  let text = '';
  let begun: number | null = null;
  const spans: [number, number][] = [];
  for (const part of marked.split(new RegExp(`([${start}${end}])`))) {
    if (part === start) begun = text.length;
    else if (part === end && begun !== null) spans.push([begun, text.length]);
    else text += part;
  }
  const spoken = spans.filter(([from, to]) => to > from);
  if (spoken.length > 0) return { text, spans: spoken };
  throw new ChatRenderError("the base's chat template marks nothing of the conversation as the assistant's");
}

/** Finds two private-use characters that a text does not contain, to serve as marks. */
function unusedCharacters(text: string): [string, string] {
  const found: string[] = [];
  for (let code = PRIVATE_USE.first; code <= PRIVATE_USE.last && found.length < 2; code++) {
    const character = String.fromCharCode(code);
    if (!text.includes(character)) found.push(character);
  }
  const [first, second] = found;
  if (first !== undefined && second !== undefined) return [first, second];
  throw new ChatRenderError('the conversation uses every character of the private use area');
}

function renderPrefixes(parsed: ParsedTemplate, chat: ChatContent, specials: SpecialTokenTexts): RenderedChat {
  const upTo = (count: number, forAssistant: boolean): string =>
    run(
      parsed,
      { ...chat, messages: chat.messages.slice(0, count) },
      { ...specials, add_generation_prompt: forAssistant },
    );
  const text = upTo(chat.messages.length, false);
  const turns = [...chat.messages.keys()].filter((index) => chat.messages[index]?.role === 'assistant');
  const spans = turns.map((index): [number, number] => {
    const before = upTo(index, true);
    const after = index === chat.messages.length - 1 ? text : upTo(index + 1, false);
    if (text.startsWith(after) && after.startsWith(before) && after.length > before.length) {
      return [before.length, after.length];
    }
    throw new ChatRenderError(
      "the base's chat template does not show which text is the assistant's: it has no {% generation %}, and the " +
        `conversation up to message ${index + 1} does not begin like the whole`,
    );
  });
  return { text, spans };
}
