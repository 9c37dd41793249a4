import { isObject, type JsonObject } from '../json.ts';

export const DATASET_SPLITS = ['training', 'search', 'gate'] as const;

export type DatasetSplit = (typeof DATASET_SPLITS)[number];

/** One message of a conversation, as chat templates receive it. */
export interface ChatMessage {
  readonly role: string;
  /** Text of the message; null for a turn of the assistant that only calls tools. */
  readonly content: string | null;
  /** Any other field, for templates that use it: `name`, `tool_calls`, `tool_call_id`, `reasoning_content`. */
  readonly [field: string]: unknown;
}

interface RowFields {
  readonly split?: DatasetSplit;
  /** Names of the slices that the row belongs to, for which results are reported separately. */
  readonly slices?: readonly string[];
}

/** A row with a prompt and its expected completion. */
export interface CompletionContent {
  readonly prompt: string;
  readonly completion: string;
}

/** A prompt without a completion. The answer of an earlier adapter version serves as the expected completion. */
export interface PromptContent {
  readonly prompt: string;
}

/**
 * A conversation, which the base's chat template turns into text. A row with an answer ends with a turn of the
 * assistant; a row with a prompt alone ends with a turn of another role.
 */
export interface ChatContent {
  readonly messages: readonly ChatMessage[];
  /** Descriptions of the tools that the assistant may call, which the template receives. */
  readonly tools?: readonly JsonObject[];
}

/** Content of a row with an answer; line number, split and slices are not part of it. */
export type RowContent = CompletionContent | ChatContent;

/** Content of any row, with or without an answer; line number, split and slices are not part of it. */
export type GivenContent = RowContent | PromptContent;

interface PlacedFields extends RowFields {
  /** Number of the row's line in the dataset's file, from 1. */
  readonly line: number;
}

/** A row that has an answer, with its line number, split and slices. */
export type AnsweredRow = RowContent & PlacedFields;

/**
 * A row of a dataset; {@link hasAnswer} tells the two kinds apart. Either all rows of a dataset have an answer, or none
 * has.
 */
export type DatasetRow = GivenContent & PlacedFields;

/** Other names by which datasets call the splits. Readapt reads them, but never writes them. */
const SPLIT_ALIASES: ReadonlyMap<unknown, DatasetSplit> = new Map<unknown, DatasetSplit>([
  ['train', 'training'],
  ['validation', 'search'],
  ['test', 'gate'],
  ...DATASET_SPLITS.map((name) => [name, name] as const),
]);

/**
 * Largest number of messages in a row. This bound and the following ones keep a malicious row from holding up a worker;
 * real rows stay far below them.
 */
const MAX_MESSAGES = 512;
const MAX_TOOLS = 128;
const MAX_SLICES = 16;
const MAX_SLICE_LENGTH = 64;

const COMPLETION_FIELDS = ['prompt', 'completion', 'split', 'slices'];
const CHAT_FIELDS = ['messages', 'tools', 'split', 'slices'];

/**
 * Roles of messages that the assistant answers. If the last message of a row has any other role than these and
 * `assistant`, the role is taken for a misspelt `assistant`.
 */
const ASKING_ROLES = ['user', 'tool', 'function', 'ipython'];

/** Optional fields of a message, with the type that each must have. */
const MESSAGE_FIELDS: Readonly<Record<string, 'a string' | 'an array'>> = {
  name: 'a string',
  tool_calls: 'an array',
  tool_call_id: 'a string',
  reasoning_content: 'a string',
};

export function isChat<Row extends GivenContent>(row: Row): row is Row & ChatContent {
  return 'messages' in row;
}

/** Whether a row has an answer: a completion, or a last turn of the assistant. */
export function hasAnswer(row: GivenContent): boolean {
  return isChat(row) ? row.messages.at(-1)?.role === 'assistant' : 'completion' in row;
}

/** Returns a row with the given answer, which replaces the row's own answer if it has one. */
export function withAnswer<Row extends GivenContent>(row: Row, text: string): Row & RowContent {
  if (!isChat(row)) return { ...row, completion: text } as Row & CompletionContent;
  const last = hasAnswer(row) ? row.messages.at(-1) : undefined;
  return { ...row, messages: [...questionMessages(row), { role: 'assistant', ...last, content: text }] };
}

/** Returns the expected completion, or the text of the conversation's last turn. */
export function expectedText(row: RowContent): string {
  return isChat(row) ? (row.messages.at(-1)?.content ?? '') : row.completion;
}

/** Returns the messages of a conversation before its answer, or all of them if it has none. */
export function questionMessages(row: ChatContent): readonly ChatMessage[] {
  return hasAnswer(row) ? row.messages.slice(0, -1) : row.messages;
}

/** Returns a key that is equal for rows with the same text before the answer. Such rows must be in the same split. */
export function questionOf(row: GivenContent): string {
  return isChat(row) ? JSON.stringify([questionMessages(row), ...(row.tools ? [row.tools] : [])]) : row.prompt;
}

/** Converts a row to its stored form, with its fields in a fixed order. */
export function toStoredRow(row: GivenContent & RowFields): JsonObject {
  const { slices, split } = row;
  // JSON.stringify leaves out undefined fields.
  if (isChat(row)) return { messages: row.messages, tools: row.tools, slices, split };
  const completion = 'completion' in row ? row.completion : undefined;
  return { prompt: row.prompt, completion, slices, split };
}

/**
 * Validates the parsed JSON of one line. Returns the row, or a message that describes the error without quoting the
 * row's text.
 */
export function checkRow(value: unknown, line: number): DatasetRow | string {
  if (!isObject(value)) return `is ${kind(value)}, expected an object`;
  const { split, slices } = value;
  const problem = ('messages' in value ? chatProblem(value) : completionProblem(value)) ?? slicesProblem(slices);
  if (problem !== null) return problem;
  const named = SPLIT_ALIASES.get(split);
  if (split !== undefined && named === undefined) {
    const found = typeof split === 'string' ? 'another word' : kind(split);
    return `split is ${found}, expected ${DATASET_SPLITS.join(', ')}`;
  }
  return { ...value, ...(named && { split: named }), line } as DatasetRow;
}

function completionProblem(row: JsonObject): string | null {
  const { prompt, completion } = row;
  const problem = unknownField(row, COMPLETION_FIELDS) ?? textProblem('prompt', prompt);
  if (problem !== null || !('completion' in row)) return problem;
  return textProblem('completion', completion) ?? (completion === '' ? 'completion is empty' : null);
}

function chatProblem(row: JsonObject): string | null {
  const { messages, tools } = row;
  const unknown = unknownField(row, CHAT_FIELDS);
  if (unknown !== null) return unknown;
  if (!Array.isArray(messages)) return `messages is ${kind(messages)}, expected an array`;
  if (messages.length > MAX_MESSAGES)
    return `messages has ${messages.length} entries, expected at most ${MAX_MESSAGES}`;
  for (const [index, message] of messages.entries()) {
    const problem = messageProblem(message);
    if (problem !== null) return `messages[${index}]${problem}`;
  }
  const last = messages.at(-1) as ChatMessage | undefined;
  if (last === undefined) return 'messages is empty, expected at least one message';
  if (last.role !== 'assistant' && !ASKING_ROLES.includes(last.role)) {
    const expected = `assistant, or in a prompt alone ${ASKING_ROLES.join(', ')}`;
    return `messages[${messages.length - 1}].role, the last one, is another word, expected ${expected}`;
  }
  return toolsProblem(tools);
}

function messageProblem(message: unknown): string | null {
  if (!isObject(message)) return ` is ${kind(message)}, expected an object`;
  const { role, content = null, ...others } = message;
  const problem = textProblem('role', role) ?? (content === null ? null : textProblem('content', content));
  if (problem !== null) return `.${problem}`;
  for (const [name, value] of Object.entries(others)) {
    const expected = Object.hasOwn(MESSAGE_FIELDS, name) ? MESSAGE_FIELDS[name] : undefined;
    if (expected === undefined) return ` has the unknown field ${shown(name)}`;
    if (kind(value) !== expected) return `.${name} is ${kind(value)}, expected ${expected}`;
  }
  if (content !== null && (content !== '' || role !== 'assistant')) return null;
  if (role === 'assistant' && 'tool_calls' in others) return null;
  return content === null
    ? '.content is missing, expected a string; only an assistant that calls tools may leave it out'
    : '.content is empty';
}

function toolsProblem(tools: unknown): string | null {
  if (tools === undefined) return null;
  if (!Array.isArray(tools)) return `tools is ${kind(tools)}, expected an array`;
  if (tools.length > MAX_TOOLS) return `tools has ${tools.length} entries, expected at most ${MAX_TOOLS}`;
  const bad = tools.findIndex((tool) => !isObject(tool));
  return bad < 0 ? null : `tools[${bad}] is ${kind(tools[bad])}, expected an object`;
}

function slicesProblem(slices: unknown): string | null {
  if (slices === undefined) return null;
  if (!Array.isArray(slices)) return `slices is ${kind(slices)}, expected an array of names`;
  if (slices.length > MAX_SLICES) return `slices has ${slices.length} names, expected at most ${MAX_SLICES}`;
  const bad = slices.findIndex((name) => typeof name !== 'string' || name === '' || name.length > MAX_SLICE_LENGTH);
  return bad < 0 ? null : `slices[${bad}] is not a name of 1 to ${MAX_SLICE_LENGTH} characters`;
}

function unknownField(row: JsonObject, known: readonly string[]): string | null {
  const unknown = Object.keys(row).find((name) => !known.includes(name));
  return unknown === undefined ? null : `has the unknown field ${shown(unknown)}`;
}

function textProblem(name: string, value: unknown): string | null {
  if (value === undefined) return `${name} is missing`;
  if (typeof value !== 'string') return `${name} is ${kind(value)}, expected a string`;
  return /\p{Surrogate}/u.test(value) ? `${name} holds half of a surrogate pair` : null;
}

/** Quotes the beginning of a name for a message. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40));
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
