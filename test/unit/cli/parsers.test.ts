import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { baseName, device, deviceChoice, layers, targets } from '../../../cli/options/parsers.ts';
import { cardOf, kindOf } from '../../../core/options/devices.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';

describe('--targets', () => {
  it.each<[string, string[] | string]>([
    ['q_proj', ['q_proj']],
    ['q_proj, mlp.up_proj', ['q_proj', 'mlp.up_proj']],
    ['all-linear', 'all-linear'],
    ['.*self_attn.(q|v)_proj', '.*self_attn.(q|v)_proj'],
    ['.*layers.[0-9]{1,2}.mlp.*', '.*layers.[0-9]{1,2}.mlp.*'],
  ])('%s', (text, expected) => expect(targets(text)).toEqual(expected));

  it('refuses a blank', () => expect(() => targets(' ')).toThrow(InvalidArgumentError));
});

describe('--layers', () => {
  it.each<[string, number[]]>([
    ['3', [3]],
    ['8-11, 0,2', [0, 2, 8, 9, 10, 11]],
    ['1-2,2-3', [1, 2, 3]],
  ])('%s', (text, expected) => expect(layers(text)).toEqual(expected));

  it.each(['', 'x', '-1', '3-1', '1.5', '0,,1', '0-99999999999'])('refuses "%s"', (text) => {
    expect(() => layers(text)).toThrow(InvalidArgumentError);
  });
});

describe('--base-name', () => {
  it.each(['org/base', '/models/v2/', './modèles/v 2', 'a'.repeat(4096)])('keeps %s as it is', (text) => {
    expect(baseName(text)).toBe(text);
  });

  it.each(['', ' ', ' a', 'a ', 'a\n', 'a\0b', '\u202egnp.a', 'a\u2028b', '\ud800', 'a'.repeat(4097)])(
    'refuses %j',
    (text) => expect(() => baseName(text)).toThrow(InvalidArgumentError),
  );
});

describe('--device', () => {
  it.each([
    ['cpu', 'cpu', 0],
    ['cuda', 'cuda', 0],
    ['cuda:0', 'cuda', 0],
    ['cuda:12', 'cuda', 12],
    ['tfjs-node-gpu', 'tfjs-node-gpu', 0],
  ])('%s is %s, card %i', (text, kind, card) => {
    const parsed = device(text);
    expect([parsed, kindOf(parsed), cardOf(parsed)]).toEqual([text, kind, card]);
    expect(deviceChoice(text)).toBe(text);
  });

  it('is auto only where something can be chosen', () => {
    expect(deviceChoice('auto')).toBe('auto');
    expect(() => device('auto')).toThrow(InvalidArgumentError);
  });

  it.each([
    '',
    'tpu',
    'cpu:0',
    'webgpu:1',
    'auto:1',
    'cuda:',
    'cuda:-1',
    'cuda:01',
    'cuda:1.5',
    'cuda:1000',
    'cuda:1 ',
  ])('refuses "%s" and says what it may be', (text) => {
    expect(() => deviceChoice(text)).toThrow(/cuda:N for one of several cards/);
    expect(() => loadConfig({ READAPT_DEVICE: `${text}x` })).toThrow(/READAPT_DEVICE is .*, expected auto, cpu, /);
  });
});
