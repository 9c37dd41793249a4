import { expecting, type ChoiceSet } from '../../data/choices.ts';
import { generateAnswers, type AnswerOptions } from '../../data/evaluation/generated-answers.ts';
import { rankChoices } from '../../data/evaluation/rank-choices.ts';
import { promptTokens, type TokenizedExample } from '../../data/example.ts';
import { tokenizeRows, type TokenizeOptions } from '../../data/tokenize.ts';
import type { GeneratingBase } from '../../engine/generation/generate-texts.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/** What a teacher answers to an example: one of the task's choices by its index, or tokens; at least one. Plain JSON. */
export type TeacherAnswer = number | readonly number[];

export interface TeacherOptions extends AnswerOptions {
  /** The choices that the teacher ranks; null lets it generate its answers. */
  readonly choices: ChoiceSet | null;
}

/**
 * Lets a teacher answer each example: by the choice that it finds most probable, or by the text that it generates by greedy
 * decoding (sequence-level distillation: Kim and Rush 2016, arXiv 1606.07947, section 3.2).
 * @returns the answers in the order of the examples
 */
export async function teacherAnswers(
  base: GeneratingBase,
  teacher: Adapter,
  examples: readonly TokenizedExample[],
  { choices, ...options }: TeacherOptions,
): Promise<TeacherAnswer[]> {
  if (choices !== null) {
    const { ranked } = await rankChoices(base.runtime, teacher, examples, { ...options, choices });
    return [...ranked];
  }
  const { texts } = await generateAnswers(base, teacher, examples, options);
  return texts.map(({ tokenIds }) => tokenIds);
}

/** Puts a teacher's answer in the place of an example's completion or, in a conversation, of its last turn. */
export function withTeacherAnswer(
  example: TokenizedExample,
  answer: TeacherAnswer,
  { choices, format }: { readonly choices: ChoiceSet | null; readonly format: TokenizeOptions },
): TokenizedExample {
  if (typeof answer === 'number') {
    const [chosen] = tokenizeRows([expecting(example.row, choices!.texts[answer]!)], format);
    return chosen!;
  }
  const { promptAlone: _, ...others } = example;
  const prompt = promptTokens(example);
  const labelSpans = [...example.labelSpans.slice(0, -1), [prompt.length, prompt.length + answer.length] as const];
  return { ...others, tokenIds: [...prompt, ...answer], labelSpans };
}
