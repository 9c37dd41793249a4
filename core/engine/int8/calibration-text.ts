/**
 * Text of several kinds, from which an int8 base's smoothing follows and with which its losses are compared: what columns
 * of activations are large hardly depends on the text, so any that is not too uniform will do.
 */
export const CALIBRATION_TEXTS: readonly string[] = [
  'The committee met on Thursday to discuss the new timetable, and nobody was surprised when the vote was put off again.',
  'Question: which of the two rivers is longer? Answer: the northern one, by about 120 kilometres.',
  'function add(a, b) {\n  return a + b; // adds two numbers\n}',
  'Shares of the company fell 4.7 percent to $31.20 in early trading after it cut its forecast for the third quarter.',
  'A dull film with one good joke, told twice; the actors look as tired as the audience.',
  '{"name": "Ada", "age": 36, "languages": ["en", "fr"], "active": true}',
  'She closed the door quietly, listened for a moment, and then walked down the stairs into the rain.',
  'Die Sitzung beginnt um neun Uhr. La réunion commence à neuf heures. La reunión empieza a las nueve.',
  '1. Heat the oven to 180 degrees. 2. Mix flour, sugar and butter. 3. Bake for 25 minutes.',
  'In physics, the momentum of a body is the product of its mass and its velocity: p = m v.',
  'The home team scored twice in the last ten minutes and won the cup for the first time since 1974.',
  'Dear customer, your order 48-2291 has left our warehouse and should arrive within three working days.',
];
