import { describe, expect, test } from 'vitest';
import { createAddressPolicy } from '../../../src/platform/outgoing/address-policy.ts';
import { urlProblem } from '../../../src/platform/outgoing/target.ts';

const SETTING = 'READAPT_WEBHOOK_ALLOWED_RANGES';
const none = createAddressPolicy([]);

describe('an address is refused', () => {
  test.each([
    ['this network', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['shared by carriers, and the metadata of Alibaba Cloud', '100.100.100.200'],
    ['link-local, and the metadata of most clouds', '169.254.169.254'],
    ['of the protocol, and the metadata of Oracle Cloud', '192.0.0.192'],
    ['the platform of Azure', '168.63.129.16'],
    ['documentation', '203.0.113.7'],
    ['benchmarks', '198.18.0.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['mapped private', '::ffff:a00:1'],
    ['compatible loopback', '::127.0.0.1'],
    ['translated private', '64:ff9b::10.0.0.1'],
    ['locally translated', '64:ff9b:1::a00:1'],
    ['6to4', '2002:7f00:1::'],
    ['Teredo', '2001::1'],
    ['documentation', '2001:db8::1'],
    ['unique local, and the metadata of AWS', 'fd00:ec2::254'],
    ['unique local', 'fc00::1'],
    ['link-local', 'fe80::1'],
    ['formerly site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['not routed yet', '4000::1'],
    ['no address', 'example.com'],
  ])('that is %s: %s', (_what, address) => {
    expect(none.judge(address)).toBeNull();
  });
});

test.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '::ffff:1.1.1.1'])(
  '%s is public',
  (address) => {
    expect(none.judge(address)).toBe('public');
  },
);

test('the operator may allow ranges, and no more than these', () => {
  const policy = createAddressPolicy(['10.20.0.0/16', 'fd12:3456::/32']);
  for (const address of ['10.20.1.1', '::ffff:10.20.1.1', 'fd12:3456::1']) expect(policy.judge(address)).toBe('listed');
  for (const address of ['10.21.0.1', 'fd12:3457::1', '127.0.0.1']) expect(policy.judge(address)).toBeNull();
});

describe('a URL is refused', () => {
  test.each([
    ['hooks.example.com', /absolute URL/],
    ['/hook', /absolute URL/],
    ['ftp://hooks.example.com', /absolute URL with https/],
    ['file:///etc/passwd', /absolute URL with https/],
    ['https://user:password@hooks.example.com', /without a user and password/],
    ['https://hooks.example.com/#part', /without a fragment/],
    ['https://hooks.example.com:25/', /port is below 1024/],
    ['http://1.1.1.1/', /plain http is only allowed for addresses in READAPT_WEBHOOK_ALLOWED_RANGES/],
    ['https://127.0.0.1/', /not public: the operator may allow its range in READAPT_WEBHOOK_ALLOWED_RANGES/],
    ['https://[::1]/', /not public/],
    ['https://[::ffff:127.0.0.1]/', /not public/],
    // Other ways to write 127.0.0.1.
    ['https://2130706433/', /not public/],
    ['https://0x7f.1/', /not public/],
    ['https://0177.0.0.1/', /not public/],
    ['https://127.1/', /not public/],
    ['https://①②⑦.0.0.1/', /not public/],
  ])('%s', (url, problem) => {
    expect(urlProblem(url, none, SETTING)).toMatch(problem);
  });

  test.each(['https://hooks.example.com/in?x=1', 'https://hooks.example.com:8443/', 'https://1.1.1.1/'])(
    'but not %s',
    (url) => {
      expect(urlProblem(url, none, SETTING)).toBeNull();
    },
  );

  test('unless the operator allows its range', () => {
    expect(urlProblem('http://127.0.0.1:81/', createAddressPolicy(['127.0.0.0/8']), SETTING)).toBeNull();
  });
});
